"""The page of a study of factors: what was found, what it explains, and how like true days simulated ones are."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.factor_study import FactorStudy
from evaluation.formats import number, percent
from evaluation.reports import factor_curves as curves
from evaluation.reports import factor_figures as figures
from evaluation.reports.html import Page, table

THIN = 0.5
"""Share of history's excess kurtosis below which simulated tails are called thin."""
GIVEN = (
    " What a model is given counts as rebuilt by it, and its factors explain the rest alone: it is not of the width of "
    "the others, and a sector of one asset gives that asset away."
)
FAT = 1.0
"""Excess kurtosis from which on a history is said to have fat tails at all."""


def report(study: FactorStudy, metrics: Mapping[str, Any]) -> str:
    """Returns the page; it loads nothing from a network, and draws the same figures on a phone.

    Args:
        study: What the models said.
        metrics: What `evaluation.factor_study.measured` makes of it.
    """
    page = Page(study.title, study.lead)
    _verdict(page, study, metrics)
    if study.known is not None:
        _matching(page, study, metrics)
    _loadings(page, study)
    _explained(page, study, metrics)
    _scenarios(page, study, metrics)
    learning = figures.learning_figure(study)
    if learning is not None:
        page.heading("Learning")
        page.text(
            "Evidence lower bound of the valid days at the full weight of the divergence, by epoch; higher is better. "
            "Models with another weight or with something given have another bound, so compare shapes, not levels.",
            quiet=True,
        )
        page.figure(learning)
        terms = curves.terms_figure(study)
        if terms is not None:
            page.heading("Reconstruction and divergence", 3)
            page.figure(terms)
    page.heading("Data and configuration")
    page.facts(study.facts)
    page.folded("full configuration", study.config)
    _method(page)
    return page.source()


def sentences(metrics: Mapping[str, Any]) -> list[str]:
    """Returns what the numbers say, a statement a line; everything the page claims comes from here."""
    models: Mapping[str, Any] = metrics["models"]
    first = next(iter(models))
    said = []
    if metrics["known"] is not None:
        said += [_said_of_matching(name, one["matching"], metrics) for name, one in models.items()]
    shares = [f"{name} {percent(one['reconstruction']['test'])}" for name, one in models.items()]
    given = [f"{name} knows {models[name]['given']} besides" for name in _given(metrics)]
    width = models[first]["n_factors"]
    said.append(
        f"With {width} factors each, they rebuild of the variance of test days: {', '.join(shares)}"
        + (f" ({'; '.join(given)}, so its share is no like for like)" if given else "")
        + "."
    )
    said.append(_said_of_tails(metrics))
    distances = [
        f"{name} {number(one['scenarios']['correlation_distance']['test'], 3)}" for name, one in models.items()
    ]
    said.append(
        f"Correlations of simulated days differ from those of test days by {', '.join(distances)} (root mean square "
        f"over pairs); train days differ from test days by {number(metrics['history']['correlation_distance'], 3)}."
    )
    return said


def _said_of_matching(name: str, one: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Factors that were found, and of each other one whether another basis has it; no mean hides a lost one."""
    words = (
        f"{name} finds {one['found']} of {len(metrics['known'])} known factors with an absolute correlation of at "
        f"least {number(metrics['threshold'])} (mean {number(one['mean'])})"
    )
    turned, lost = [], []
    for factor, direct, rotated, mapped in zip(
        metrics["known"], one["direct"], one["rotated"], one["regressed"], strict=True
    ):
        sizes = [0.0 if value is None else abs(value) for value in (direct, rotated, mapped)]
        if sizes[0] >= metrics["threshold"]:
            continue
        if sizes[1] >= metrics["threshold"]:
            turned.append(f"{factor} ({number(sizes[1])})")
        else:
            lost.append(f"{factor} (at best {number(max(sizes))})")
    if turned:
        words += f"; it lacks the axes rather than the factors of {_listed(turned)}, which turning on train days finds"
    if lost:
        words += f"; {_listed(lost)} {'is' if len(lost) == 1 else 'are'} not there in any basis"
    return f"{words}."


def _said_of_tails(metrics: Mapping[str, Any]) -> str:
    history = {part: metrics["history"][part]["portfolio"]["kurtosis"] for part in ("train", "test")}
    own = {name: one["scenarios"]["portfolio"]["kurtosis"] for name, one in metrics["models"].items()}
    simulated = ", ".join(f"{name} {number(value, 1)}" for name, value in own.items())
    words = (
        f"Excess kurtosis of the equally weighted portfolio: {number(history['train'], 1)} on train and "
        f"{number(history['test'], 1)} on test days; of simulated days {simulated}"
    )
    fat = history["train"] is not None and history["train"] > FAT
    thin = [name for name, value in own.items() if fat and (value is None or value < THIN * history["train"])]
    if not thin:
        return f"{words}."
    who = (
        "no model draws" if len(thin) == len(own) else f"{_listed(thin)} {'does' if len(thin) == 1 else 'do'} not draw"
    )
    return f"{words}: {who} the tails of history, so losses beyond a few percent of days are underrated."


def _verdict(page: Page, study: FactorStudy, metrics: Mapping[str, Any]) -> None:
    lead = figures.lead(study).name
    one = metrics["models"][lead]
    head = f"{lead} rebuilds {percent(one['reconstruction']['test'])} of test variance."
    if study.known is not None:
        head = f"{lead} finds {one['matching']['found']} of {len(study.known.names)} known factors."
    lines = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences(metrics))
    page.markup(f'<div class="verdict"><p><b>{html.escape(head)}</b></p><ul>{lines}</ul></div>')
    first = study.models[0].name
    tiles = [("variance rebuilt", "reconstruction", percent)]
    cells = [
        _tile(f"{lead}, {words}", form(one[key]["test"]), f"{first} {form(metrics['models'][first][key]['test'])}")
        for words, key, form in tiles
    ]
    other = metrics["models"][first]
    if study.known is not None:
        own, their = one["matching"], other["matching"]
        cells.insert(0, _tile(f"{lead}, mean |correlation|", number(own["mean"]), f"{first} {number(their['mean'])}"))
        weakest = [min((abs(c) for c in each["direct"] if c is not None), default=None) for each in (own, their)]
        cells.insert(1, _tile(f"{lead}, weakest factor", number(weakest[0]), f"{first} {number(weakest[1])}"))
    simulated, told = one["scenarios"], metrics["history"]["test"]["portfolio"]
    var = "99 % value at risk, simulated"
    cells.append(_tile(f"{lead}, {var}", percent(simulated["portfolio"]["var_99"]), f"test {percent(told['var_99'])}"))
    page.markup(f'<div class="tiles">{"".join(cells)}</div>')


def _tile(words: str, value: str, beside: str) -> str:
    return (
        f'<div class="tile"><span class="quiet">{html.escape(words)}</span><b>{html.escape(value)}</b>'
        f'<span class="quiet">{html.escape(beside)}</span></div>'
    )


def _matching(page: Page, study: FactorStudy, metrics: Mapping[str, Any]) -> None:
    page.heading("Known factors, found again")
    page.text(
        "Each known factor beside the learnt one that stands for it: pairs are chosen so that the sum of absolute "
        "correlations is greatest, and no learnt factor stands for two. Order and sign are forgiven, nothing else. "
        f"The dotted line at {number(study.threshold)} is where a factor counts as found."
    )
    page.figure(figures.matching_figure(study))
    page.markup(_matching_table(metrics))
    page.text(
        "Direct: as paired. Turned: after the rotation that brings all factors nearest to the known ones. Mapped: "
        "after any linear map. Both are estimated on train days. Shared: canonical correlations, what the two sets "
        "have in common whatever the axes. Normal factors have no axes of their own; they are distinguished only where "
        "each explains another amount, so what only turning finds is not lost but not named either.",
        quiet=True,
    )
    page.heading("Every pair", 3)
    page.figure(figures.matrices_figure(study))
    page.heading(f"Factors of {figures.lead(study).name} beside the known ones, summed over test days", 3)
    page.figure(figures.paths_figure(study, figures.lead(study)))


def _matching_table(metrics: Mapping[str, Any]) -> str:
    columns = ("model", "found", *metrics["known"], "mean, direct", "mean, turned", "mean, mapped", "mean, shared")
    rows = []
    for name, one in metrics["models"].items():
        match = one["matching"]
        cells = [_correlation(value, metrics["threshold"]) for value in match["direct"]]
        means = [number(match["mean"]), *(number(_mean(match[key])) for key in ("rotated", "regressed", "canonical"))]
        rows.append((html.escape(name), f"{match['found']} of {len(metrics['known'])}", *cells, *means))
    return table([html.escape(column) for column in columns], rows, _kinds(metrics))


def _correlation(value: float | None, threshold: float) -> str:
    size = None if value is None else abs(value)
    found = size is not None and size >= threshold
    return f'<span class="good">{number(size)}</span>' if found else number(size)


def _loadings(page: Page, study: FactorStudy) -> None:
    page.heading("Loadings")
    beside = "the known factors" if study.known is not None else f"those of {study.models[0].name}"
    page.text(
        "By how many of its standard deviations an asset moves with one unit of a factor, mean over test days; factors "
        f"in the order and with the sign of {beside}. A VAE's loadings are the derivatives of its decoder."
    )
    page.figure(figures.loadings_figure(study))


def _explained(page: Page, study: FactorStudy, metrics: Mapping[str, Any]) -> None:
    page.heading("How many factors there are")
    page.text(
        "Share of the variance of standardised train returns that each principal component has, and all up to it "
        "together: where the bars stop falling, what is left is the assets' own noise."
    )
    page.figure(curves.scree_figure(study))
    page.heading("What factors explain")
    columns = (
        "model",
        "factors",
        "rebuilt, train",
        "valid",
        "test",
        f"test, beyond {html.escape(study.models[0].name)}",
        "regressed, test",
        "rank IC",
    )
    rows = []
    for k, (name, one) in enumerate(metrics["models"].items()):
        own = one["reconstruction"]
        beside = f"<small>given {html.escape(one['given'])}</small>" if one["given"] else ""
        ic = number(one["rank_ic"], 4)
        if one["rank_ic_ci"] is not None:
            ic += f"<small>{number(one['rank_ic_ci'][0], 3)} to {number(one['rank_ic_ci'][1], 3)}</small>"
        more = "–" if k == 0 or own["over_first"] is None else f"{number(100 * own['over_first'], 1)} points"
        shares = [percent(own[part]) for part in ("train", "valid", "test")]
        together = percent(one["explained"]["together"])
        rows.append((html.escape(name) + beside, str(one["n_factors"]), *shares, more, together, ic))
    page.markup(table(columns, rows, _kinds(metrics)))
    page.text(
        "Rebuilt: share of the variance of standardised returns that a model's own decoder gives back. Regressed: the "
        "share that a linear regression of each asset on the factors explains, fitted on train. No linear model of as "
        "many factors beats PCA on the days it was fitted on; a VAE pays for factors that it can draw. Rank IC: of the "
        "forecast of the next return, with its 95 % interval." + (GIVEN if _given(metrics) else ""),
        quiet=True,
    )
    page.heading("Each factor alone", 3)
    page.figure(figures.explained_figure(study))
    page.heading("Rebuilt, asset by asset", 3)
    page.figure(figures.reconstruction_figure(study))
    page.heading("Single assets beside what is rebuilt of them", 3)
    page.text("The first test days, of the asset that the reference rebuilds best down to the worst.", quiet=True)
    page.figure(curves.overlays_figure(study))


def _scenarios(page: Page, study: FactorStudy, metrics: Mapping[str, Any]) -> None:
    page.heading("Simulated days")
    count = next(iter(metrics["models"].values()))["scenarios"]["n_days"]
    page.text(
        f"Each model draws {count:,} days: factors from a standard normal, and noise for every asset. Beside them "
        "stand the days that were. Small figures: the median over single assets."
        + (
            f" What {_listed(_given(metrics))} is given is not drawn but taken from train days."
            if _given(metrics)
            else ""
        )
    )
    entries = [(f"{part} days", metrics["history"][part], None) for part in ("train", "test")]
    distance = metrics["history"]["correlation_distance"]
    rows = [_tails_row(name, one, distance if name == "train days" else away) for name, one, away in entries]
    for name, one in metrics["models"].items():
        rows.append(_tails_row(name, one["scenarios"], one["scenarios"]["correlation_distance"]["test"]))
    columns = (
        "equally weighted portfolio", "deviation a day", "skew", "excess kurtosis", "95 % VaR", "99 % VaR",
        "99 % shortfall", "mean correlation", "distance from test",
    )  # fmt: skip
    page.markup(table(columns, rows, ["lead", "lead"]))
    page.figure(figures.tails_figure(study))
    page.heading("Correlations of single assets", 3)
    page.figure(figures.correlations_figure(study))


def _tails_row(name: str, one: Mapping[str, Any], distance: float | None) -> Sequence[str]:
    whole, single = one["portfolio"], one["asset"]
    measures = (
        ("std", percent, 2), ("skew", number, 2), ("kurtosis", number, 1), ("var_95", percent, 2),
        ("var_99", percent, 2), ("es_99", percent, 2),
    )  # fmt: skip
    cells = [f"{form(whole[key], digits)}<small>{form(single[key], digits)}</small>" for key, form, digits in measures]
    return (html.escape(name), *cells, number(one["mean_correlation"]), number(distance, 3))


def _method(page: Page) -> None:
    page.heading("How to read this page")
    page.text(
        "Models see the returns of train days, valid days choose the epoch, and test days are looked at here alone. "
        "Returns are standardised asset by asset with the mean and deviation of train days. PCA is closed form; a VAE "
        "encodes a day into independent normal factors whose posterior mean is shown. Correlations, losses and shares "
        "are of test days unless said otherwise. VaR and shortfall are losses as positive numbers, historical.",
        quiet=True,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _given(metrics: Mapping[str, Any]) -> list[str]:
    return [name for name, one in metrics["models"].items() if one["given"]]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _kinds(metrics: Mapping[str, Any]) -> list[str]:
    return ["", *("lead" for _ in list(metrics["models"])[1:2])]
