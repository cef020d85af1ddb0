"""The page of a comparison of encoders: one self-contained file with verdicts, tables, figures and the method."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from evaluation.encoder_comparison import Forecaster
from evaluation.formats import bar_name, display_name, number, percent, with_interval
from evaluation.performance import DAYS_PER_YEAR
from evaluation.policy_comparison import equal_capital
from evaluation.reports.figures import AGENTS
from evaluation.reports.html import Page, styled, table
from evaluation.reports.tables import interval

OTHERS = (("rank_icir", "rank ICIR", 3), ("ic", "IC", 4), ("icir", "ICIR", 3))


def report(
    title: str,
    result: Mapping[str, Any],
    forecasters: Sequence[Forecaster],
    facts: Iterable[tuple[str, str]],
    differences: Sequence[Mapping[str, str]] = (),
) -> str:
    """Returns the page; it loads nothing from a network.

    Args:
        title: Heading.
        result: What `evaluation.encoder_comparison.measured` returned.
        forecasters: What it was measured on.
        facts: Names and texts of where the data come from and how they were divided.
        differences: One row for each field of the configurations that is not the same in all, with its values.
    """
    page = Page(title, "Encoders on the same panel, days and label; test days were seen once training was over")
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in verdicts(result))
    page.markup(f'<div class="verdict"><ul>{sentences}</ul></div>')
    for part in ("test", "valid"):
        page.heading(f"Forecasts, {part} days")
        page.text(_extent(result, part), quiet=True)
        page.markup(forecast_table(result, part))
    page.heading("Rank coefficient added up over the test days")
    page.figure(growth_figure(forecasters))
    for rule in next(iter(result["encoders"].values()))["trading"]:
        page.heading(f"Trading on the forecasts, {rule}")
        page.text(
            f"Test days, after costs. {_year(result)} The seeds of an encoder are one account of equal parts.", True
        )
        page.markup(trading_table(result, rule))
        page.figure(wealth_figure(forecasters, rule))
    if any(one["codebooks"] for one in result["encoders"].values()):
        page.heading("Use of the codebooks")
        page.markup(codebooks_table(result))
    page.heading("Seeds")
    page.markup(seeds_table(result))
    if differences:
        page.heading("How the encoders differ")
        page.markup(differences_table(differences))
    page.heading("Data")
    page.facts(facts)
    _method(page)
    return page.source()


def differences_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Returns the fields of the configurations that differ, a row each, with the value in every encoder."""
    columns = ["field", *(display_name(name) for name in rows[0] if name != "field")]
    return table(columns, [[html.escape(cell) for cell in row.values()] for row in rows])


def verdicts(result: Mapping[str, Any]) -> list[str]:
    """Returns what the test days say of each encoder: its skill, and where it stands beside the reference."""
    sentences = []
    for name, one in result["encoders"].items():
        test = one["test"]
        words = f"{display_name(name)}: mean daily RankIC {with_interval(test['rank_ic'], test['rank_ic_ci'], 4)}"
        found = test["against"]
        if found is not None and found["ci"] is not None:
            low, high = found["ci"]
            stands = "ahead of" if low > 0 else "behind" if high < 0 else "not to be distinguished from"
            measured = with_interval(found["difference"], found["ci"], 4)
            words += f"; {stands} {display_name(result['reference'])}, paired difference {measured}"
        if test["suspicious"]:
            words += "; steadier than chance allows, look for a leak"
        sentences.append(f"{words}.")
    return sentences


def forecast_table(result: Mapping[str, Any], part: str) -> str:
    """Returns the coefficients of each encoder; of the rank IC the interval over days, and that over seeds below it."""
    paired = result["reference"] is not None
    beside = [f"less that of {display_name(result['reference'])}", "p"] if paired else []
    rows = []
    for name, one in result["encoders"].items():
        found = one[part]
        skill = number(found["rank_ic"], 4) + _interval(found["rank_ic_ci"], 4, "days")
        row = [
            html.escape(display_name(name)),
            str(one["n_seeds"]),
            skill + _interval(found["rank_ic_seeds_ci"], 4, "seeds"),
        ]
        row += _against(found["against"], 4) if paired else []
        rows.append([*row, number(found["rank_ic_t"]), *(number(found[key], digits) for key, _, digits in OTHERS)])
    others = (words for _, words, _ in OTHERS)
    return table(["encoder", "seeds", "rank IC", *beside, "t (Newey-West)", *others], rows, _kinds(result))


def _extent(result: Mapping[str, Any], part: str) -> str:
    assets = sorted({one[part]["n_assets"] for one in result["encoders"].values()})
    days = max(one[part]["n_days"] for one in result["encoders"].values())
    return f"{days:,} days, {assets[0]:,}{f' to {assets[-1]:,}' if len(assets) > 1 else ''} assets."


def trading_table(result: Mapping[str, Any], rule: str) -> str:
    """Returns what trading on each encoder's forecast earned, and below it what the same assets earned without one."""
    reference, held = result["reference"], result.get("references", {})
    columns = ["encoder", "return a year", *(f"a year less {display_name(name)}" for name in held), "Sharpe"]
    columns += ["volatility", "deepest loss", f"turnover a {_bar(result)}", "costs paid"]
    if reference is not None:
        columns += [f"Sharpe less that of {display_name(reference)}", "p"]
    entries = {name: one["trading"][rule] for name, one in result["encoders"].items()} | held
    rows = [_trading_row(name, found, held, reference is not None) for name, found in entries.items()]
    return table(columns, rows, [*_kinds(result), *("" for _ in held)])


def _trading_row(name: str, found: Mapping[str, Any], held: Iterable[str], paired: bool) -> list[str]:
    seeds, beyond = found.get("seeds_ci", {}), found.get("beyond", {})
    row = [
        html.escape(display_name(name)),
        percent(found["annual_return"]) + interval(found["annual_return_ci"], percent),
        *(_ahead(beyond.get(other)) for other in held),
        number(found["sharpe"]) + _interval(found["sharpe_ci"], 2, "days") + _interval(seeds.get("sharpe"), 2, "seeds"),
        percent(found["annual_volatility"]),
        percent(found["max_drawdown"]) + interval(found["max_drawdown_ci"], percent),
        percent(found["turnover"]),
        percent(found["cost_paid"]),
    ]
    return row + (_against(found.get("against"), 2) if paired else [])


def _ahead(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return f'<span class="{_tone(found["ci"])}">{percent(found["difference"])}</span>' + interval(found["ci"], percent)


def _periods(result: Mapping[str, Any]) -> float:
    trading: Mapping[str, Any] = next(iter(result["encoders"].values()))["trading"]
    return float(next((one["periods_per_year"] for one in trading.values()), DAYS_PER_YEAR))


def _bar(result: Mapping[str, Any]) -> str:
    return bar_name(_periods(result))


def _year(result: Mapping[str, Any]) -> str:
    return f"A bar is a {_bar(result)}, and a year has {_periods(result):g} of them."


def codebooks_table(result: Mapping[str, Any]) -> str:
    """Returns the use of each codebook on the train days, mean over seeds."""
    rows = [
        (
            html.escape(display_name(name)),
            html.escape(display_name(codebook)),
            number(found["perplexity"], 1),
            percent(found["usage"], 0),
            number(found["dead_codes"], 1),
        )
        for name, one in result["encoders"].items()
        for codebook, found in one["codebooks"].items()
    ]
    return table(("encoder", "codebook, train days", "perplexity", "codes used", "dead codes"), rows)


def seeds_table(result: Mapping[str, Any]) -> str:
    """Returns the coefficients of every run."""
    rows = []
    for one in result["encoders"].values():
        for run in one["test"]["seeds"]:
            cells = [number(one[part]["seeds"][run][key], 4) for part in ("valid", "test") for key in ("rank_ic", "ic")]
            rows.append((html.escape(run), *cells))
    return table(("run", "rank IC, valid", "IC, valid", "rank IC, test", "IC, test"), rows)


def growth_figure(forecasters: Sequence[Forecaster]) -> go.Figure:
    """Returns the running sum of the daily RankICs: its slope is the skill, its steadiness the ICIR."""
    figure = go.Figure()
    for k, one in enumerate(forecasters):
        first = one.seeds[0]
        daily = np.nan_to_num(one.daily_rank_ic("test"))
        figure.add_scatter(
            x=first.dates[first.parts["test"]].astype(str).tolist(),
            y=np.round(np.cumsum(daily), 3),
            name=display_name(one.name),
            line={"color": AGENTS[k % len(AGENTS)], "width": 2, "dash": _dash(k)},
            hovertemplate=f"{display_name(one.name)} %{{x}}: %{{y:.2f}}<extra></extra>",
        )
    return styled(figure, 380)


def wealth_figure(forecasters: Sequence[Forecaster], rule: str) -> go.Figure:
    """Returns the wealth of the account of each encoder, on a log scale."""
    figure = go.Figure()
    for k, one in enumerate(forecasters):
        path = equal_capital([run.paths[rule] for run in one.seeds], one.name)
        figure.add_scatter(
            x=path.dates.astype(str).tolist(),
            y=np.round(path.wealth[1:], 5),
            name=display_name(one.name),
            line={"color": AGENTS[k % len(AGENTS)], "width": 2, "dash": _dash(k)},
            hovertemplate=f"{display_name(one.name)} %{{x}}: %{{y:.2f}}<extra></extra>",
        )
    styled(figure, 380)
    figure.update_yaxes(type="log", title="wealth", tickformat=".2~f")
    return figure


def _dash(k: int) -> str:
    return ("solid", "dash", "dot")[k // len(AGENTS) % 3]  # colours begin again after some encoders


def _interval(bounds: Sequence[float] | None, digits: int, over: str) -> str:
    if bounds is None:
        return ""
    return f"<small>{number(bounds[0], digits)} to {number(bounds[1], digits)}, {over}</small>"


def _against(found: Mapping[str, Any] | None, digits: int) -> list[str]:
    if found is None:
        return ["–", "–"]
    difference = f'<span class="{_tone(found["ci"])}">{number(found["difference"], digits)}</span>'
    return [difference + _interval(found["ci"], digits, "days"), number(found["p_value"], 3)]


def _tone(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else "good" if bounds[0] > 0 else "bad" if bounds[1] < 0 else ""


def _kinds(result: Mapping[str, Any]) -> list[str]:
    return ["lead" if name == result["reference"] else "" for name in result["encoders"]]


def _method(page: Page) -> None:
    page.heading("How to read this page")
    page.text(
        "A coefficient of a day is taken over the assets that are listed over the whole look-back, have a forecast, "
        "and whose return is known because they could be bought on the day of the trade. Means are over days and then "
        "over seeds. Intervals over days: stationary block bootstrap, 1,000 draws, of the mean of the seeds; over "
        "seeds: Student's t. Paired differences draw the same days of both, and use the assets that both "
        "forecast. Buy and hold: equal parts of all assets on the first day, left alone; equal weight: brought back to "
        "equal parts every day, at the same costs; both know nothing, so what is not ahead of them is worth nothing. "
        "p: two-sided, of a difference as far from zero if there were none.",
        quiet=True,
    )
