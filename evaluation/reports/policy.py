"""The report: one self-contained page of what was traded, what came of it, and what that is worth as evidence."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from evaluation.formats import display_name, listed, number, percent
from evaluation.outcomes import SAME
from evaluation.policy_comparison import PolicyComparison
from evaluation.prediction import MIN_ASSETS
from evaluation.reports import tables
from evaluation.reports.figures import (
    colours,
    costs_figure,
    months_figure,
    trading_figure,
    wealth_figure,
    weights_figure,
)
from evaluation.reports.forecast import ForecastEvaluation, codes_figure, ic_figure, quantiles_figure
from evaluation.reports.html import Page
from evaluation.reports.market import ALGORITHMS, MEANINGS, market_facts, rule_words
from evaluation.statements import account
from evaluation.verdict import in_sample_warning, limits, reach_verdict
from market.audit import sentence

Facts = tuple[tuple[str, str], ...]
"""Names and texts; a fact named ``run`` begins those of the next run."""
TILES = (
    ("final wealth of 1.00", "final_wealth", number),
    ("return a year", "annual_return", percent),
    ("Sharpe ratio", "sharpe", number),
    ("deepest loss", "max_drawdown", percent),
)
WORDS = {
    "encoder": "a model that was trained to forecast returns and then frozen",
    "state": "what the encoder makes of all that is known after a close, in numbers; agents see states, not prices",
    "forecast": "the encoder's expected return of every asset, and how sure it is, for the label's span after the fill",
    "IC, rank IC": "correlation of forecast and return over the assets of a day, of values or of ranks; mean over days",
    "ICIR": "that mean over its standard deviation over days; t (Newey-West): over its standard error",
    "Sharpe, Sortino, Calmar": "return a year over its standard deviation, over that of losses, over the deepest loss",
    "perplexity, dead codes": "how many codes of a codebook are used as if evenly; how many are never used",
    "bar": "one row of the data, such as a day or a week",
}
"""Words of the field."""
FORECAST_WORDS, CODE_WORDS = ("encoder", "state", "forecast", "IC, rank IC", "ICIR"), ("perplexity, dead codes",)
SIMULATED = (
    "This market is simulated and its signal was planted, to see what an agent makes of one: nothing here is about "
    "real markets."
)
TRADING_NOTE = (
    "Turnover is half of what trading changes of the weights, cash among them: 100 % where all cash becomes stocks, or "
    "one stock another. Costs were paid out of the account: their "
    "sum over all test days, as a share of the starting money; the returns above are what was left. Trades: one for "
    "each asset and bar on which a millionth of the account or more was traded, by any of its seeds. Until all sold: a "
    "policy that only shifts weights never sells all of an asset, however much it trades. With a gain: of those with a "
    "gain or a loss. * Probabilities that take "
    "days as independent; where the interval of the Sharpe ratio above says otherwise, believe the interval."
)


@dataclass(frozen=True, eq=False)
class Section:
    """One market: what was measured on it, and the paths behind the measures.

    Attributes:
        title: Names the market.
        metrics: Content of ``metrics.json``.
        comparison: Who traded.
        forecast: The encoder's forecast, None where there is none.
        audit: Content of ``audit.json``, None where there are no states.
    """

    title: str
    metrics: Mapping[str, Any]
    comparison: PolicyComparison
    forecast: ForecastEvaluation | None = None
    audit: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class PolicyReport:
    """Everything that one page shows.

    Attributes:
        title: Heading.
        lead: One line below it.
        facts: Names and texts of where the data come from and how they were divided.
        sections: At least one; several where several markets were traded on the same states.
        config: The configuration as text.
    """

    title: str
    lead: str
    facts: Facts
    sections: tuple[Section, ...]
    config: str = ""


def report(study: PolicyReport) -> str:
    """Returns the page; it loads nothing from a network, and draws the same figures on a phone.

    Its statements come from `evaluation.verdict` alone.
    """
    page = Page(study.title, study.lead)
    for words in _warnings(study.sections):
        page.markup(f'<p class="bad"><b>{html.escape(words)}</b></p>')
    if len(study.sections) > 1:
        page.listed([_in_short(section) for section in study.sections])
    for place, section in enumerate(study.sections):
        page.heading(section.title if len(study.sections) > 1 else "What was traded, on what terms, against what")
        if "known_optimum" in section.metrics:
            page.markup(f"<p><b>{SIMULATED}</b></p>")
        page.facts(market_facts(section.metrics, section.comparison))
        _evidence(page, section)
        _limits(page, section)
        _paths(page, section)
        _states(page, section, study.sections[:place])
    page.heading("Data and configuration")
    for rows in _by_run(study.facts):
        page.facts(rows)
    if study.config:
        page.folded("full configuration", study.config)
    _method(page, study.sections)
    return page.source()


def _warnings(sections: Sequence[Section]) -> list[str]:
    """Returns each warning of in-sample states once, after the names of the sections that it is about."""
    found: dict[str, list[str]] = {}
    for section in sections:
        if words := in_sample_warning(section.metrics):
            found.setdefault(words, []).append(section.title)
    return [words if len(sections) == 1 else f"{listed(named)}: {words}" for words, named in found.items()]


def _in_short(section: Section) -> str:
    """The verdicts on a section's agents in one line."""
    known = section.metrics["performance"]
    words = {name: f" ({reach_verdict(section.metrics, name).word})" for name in section.comparison.agents}
    names = [*words, *section.comparison.references]
    found = [f"{display_name(name)} {number(known[name]['sharpe'])}{words.get(name, '')}" for name in names]
    return f"{section.title}, Sharpe ratios of the test days: {listed(found)}."


def _by_run(facts: Facts) -> list[Facts]:
    """Returns the facts cut where a new run begins."""
    starts = [row for row, (name, _) in enumerate(facts) if name == "run" and row > 0]
    return [facts[start:stop] for start, stop in pairwise([0, *starts, len(facts)])]


def _evidence(page: Page, section: Section) -> None:
    """The verdict on each agent in words, and the headline table."""
    for name in section.comparison.agents:
        found = reach_verdict(section.metrics, name)
        sentences = "".join(
            f"<li>{html.escape(one.text)}{_cited(f'{one.table}: {one.row}')}</li>" for one in found.statements
        )
        head = f"{html.escape(display_name(name))}: {found.word}."
        cited = f"against its references: {listed(list(found.rows))}" if found.rows else ""
        tone = ' class="bad"' if found.word == "suspect" else ""
        page.markup(
            f'<div class="verdict"><p{tone}><b>{head}</b> {html.escape(found.summary)}{_cited(cited)}</p>'
            f"<ul>{sentences}</ul></div>"
        )
    page.markup(_seen(section.metrics))
    page.markup(_tiles(section))
    page.heading("Returns, risk and trading", 3)
    page.text(_returns_note(section), quiet=True)
    page.markup(tables.headline_table(section.metrics))
    page.text(TRADING_NOTE, quiet=True)
    page.markup(tables.trading_table(section.metrics))
    for name in section.comparison.agents:
        if section.metrics["comparisons"][name]:
            page.heading(f"{display_name(name)} against its references, day by day", 3)
            page.markup(tables.comparison_table(section.metrics, name))
    if words := tables.family_words(section.metrics):
        page.text(words)
    _hindsight(page, section)


def _cited(words: str) -> str:
    """A table and a row, after the sentence that was read from them."""
    return f' <span class="quiet">[{html.escape(words)}]</span>' if words else ""


def _returns_note(section: Section) -> str:
    """The meaning of the first table's figures and intervals, of seeds only where there are several."""
    note = (
        "After all costs. Small figures are 95 % intervals over days, each measure's drawn by itself; they do not "
        "cover the luck of training, which the seeds show. Those of the deepest loss and of Calmar say how other "
        "orders of the same days would have gone, so the figure itself may lie outside."
    )
    if section.comparison.means:
        note += (
            " Seeds are joined in three ways, which differ: 'money split over n seeds' is n accounts with an equal "
            "part of the money each, their wealth added; 'committee of n seeds' is one account that holds the average "
            "of the weights that the seeds ask for; 'mean over n seeds', in the table of the seeds, is the plain mean "
            "of a measure. Verdict and tiles are about the first."
        )
    return note


def _seen(metrics: Mapping[str, Any]) -> str:
    """The data that the agent saw and the proof about them, in red where there is none."""
    known = metrics.get("observation") or {"sentence": sentence({}), "proven": False}
    return f'<p class="{"good" if known["proven"] else "bad"}">{html.escape(known["sentence"])}</p>'


def _tiles(section: Section) -> str:
    """The four figures everyone asks for: of every agent, every reference and the best of the other policies."""
    known = section.metrics["performance"]
    names = [*section.comparison.agents, *section.comparison.references]
    others = [one.name for one in section.comparison.policies if known[one.name]["sharpe"] is not None]
    same = {known[name]["final_wealth"] for name in names}
    others = [name for name in others if name not in names and known[name]["final_wealth"] not in same]
    others.sort(key=lambda name: -known[name]["sharpe"])
    cells = []
    for words, key, form in TILES:
        lines = "".join(_line(section.metrics, name, form(known[name][key])) for name in [*names, *others[:1]])
        cells.append(f'<div class="tile"><span class="quiet">{words}</span>{lines}</div>')
    return f'<div class="tiles">{"".join(cells)}</div>'


def _line(metrics: Mapping[str, Any], name: str, figure: str) -> str:
    """A figure of a tile and whose it is, an agent's large."""
    agent = name in metrics["comparisons"]
    whose = account(metrics, name) if agent else display_name(name)
    drawn = f"<b>{figure}</b>" if agent else f"<span>{figure}</span>"
    return f'<div class="line">{drawn} <span class="quiet">{html.escape(whose)}</span></div>'


def _hindsight(page: Page, section: Section) -> None:
    words = tables.hindsight_words(section.metrics)
    if words is not None:
        page.heading("With hindsight", 3)
        page.text(words)


def _limits(page: Page, section: Section) -> None:
    """The reach of a section's evidence, in sentences that are about its market alone."""
    sentences = limits(section.metrics)
    if sentences:
        page.heading("What else is known, and what is not", 3)
        page.listed(sentences)


def _paths(page: Page, section: Section) -> None:
    comparison, metrics = section.comparison, section.metrics
    everyone = comparison.everyone
    page.heading("Wealth and drawdown", 3)
    page.figure(wealth_figure(comparison), f"Wealth and drawdown, {section.title}")
    for name in comparison.agents:
        page.heading(f"What {display_name(name)} held", 3)
        page.figure(weights_figure(everyone[name]))
    page.heading("Turnover and costs paid", 3)
    page.figure(trading_figure(comparison))
    if metrics["cost_sensitivity"]:
        page.heading("Costs: if trading cost more, or less", 3)
        page.text("Every policy acts again at each cost; agents are not trained again.", quiet=True)
        page.markup(tables.costs_table(metrics))
        page.figure(costs_figure(metrics["cost_sensitivity"], colours(comparison)))
    for name in comparison.agents:
        page.heading(f"Months of {display_name(name)}, returns in percent", 3)
        page.figure(months_figure(everyone[name]))
    page.heading("Calendar years", 3)
    page.markup(tables.years_table(metrics))
    if comparison.index is not None:
        page.heading("Against the index", 3)
        page.markup(tables.relative_table(metrics))
    for name in comparison.agents:
        if metrics["performance"][name]["n_seeds"] > 1:
            page.heading(f"Seeds of {display_name(name)}", 3)
            page.text(
                "Small figures: 95 % interval of the mean (Student's t), for the luck of training alone.", quiet=True
            )
            page.markup(tables.seeds_table(metrics["performance"][name]))


def _states(page: Page, section: Section, before: Sequence[Section]) -> None:
    """Forecast and audit of the states that a section's agents saw, once where several sections share them."""
    if section.forecast is None and section.audit is None:
        return
    same = [one.title for one in before if one.audit == section.audit and _judged(one) == _judged(section)]
    if same:
        page.heading("Forecast and audit of the states", 3)
        page.text(f"The same states as in {same[0]}, so the same forecast and audit; see there.")
        return
    if section.forecast is not None:
        _forecast(page, section, section.forecast)
    if section.audit is not None:
        page.heading("Audit of the states", 3)
        _audit(page, section.audit)


def _judged(section: Section) -> Any:
    return section.metrics.get("test")


def _forecast(page: Page, section: Section, forecast: ForecastEvaluation) -> None:
    page.heading("The encoder's forecast", 3)
    metrics = section.metrics
    page.markup(tables.prediction_table({name: metrics[name] for name in ("valid", "test")}))
    page.text(
        "Encoders are chosen on their valid days, so figures of valid flatter; test days were looked at afterwards.",
        quiet=True,
    )
    if forecast.mean.shape[1] < MIN_ASSETS:
        page.text(f"With fewer than {MIN_ASSETS} assets there is no cross-section to judge a forecast by.")
        return
    page.figure(ic_figure(forecast))
    page.heading("What the assets of each forecast quantile earned", 3)
    page.text("Test days, before costs; thin lines are 95 % intervals that take days as independent.", quiet=True)
    page.figure(quantiles_figure(forecast))
    if forecast.codes is not None:
        page.heading("Use of the codebook", 3)
        page.text(
            "On a day an asset has one code for each position in the look-back window, position 1 for its oldest days; "
            "a residual quantiser has one for each of its levels, the coarsest first.",
            quiet=True,
        )
        page.markup(tables.codebooks_table(metrics["codebooks"]))
        page.figure(codes_figure(forecast))


def _audit(page: Page, audit: Mapping[str, Any]) -> None:
    page.text(
        f"{str(audit['verdict']).capitalize()}. Each check rewrites something that the states must not depend on and "
        "measures what moved."
    )
    page.markup(tables.audit_table(audit["checks"].items()))
    if audit["faults"]:
        page.listing("\n".join(audit["faults"]))


def _method(page: Page, sections: Sequence[Section]) -> None:
    page.heading("How to read this page")
    page.text(
        "Verdicts compare an agent with the references that only hold: buy and hold, equal weight (restored every "
        "bar) and, if there is one, the index; the rule on the same forecast stands beside them and does not decide. "
        "They are about the risk taken: they compare Sharpe ratios (of returns, without a rate of interest) of the "
        "same days, and follow from the tables by fixed rules. Supported: better than each of these, with more than "
        "one seed, its own Sharpe ratio above zero, and all that was tried counted. Suggestive: better than each, "
        "but not all of that. Contradicted: worse than one, better than none. Not established: all else. Where the "
        f"whole interval of a difference lies within ±{SAME:.2f}, the two count as equal. Differences are taken "
        "before rounding.",
        quiet=True,
    )
    page.text(
        "Decisions are taken after a close and filled as the terms say; every cost is booked when it is paid. "
        "Intervals: studentised block bootstrap, 1,000 draws; in simulations "
        "they hold the truth in 92 to 97 of 100 cases, in about 90 where returns are wild in clusters and the Sharpe "
        "ratio is near 2. Paired differences draw the same days of both policies. p: probability of a difference at "
        "least as far from zero if there were none. SPA: Hansen's test. "
        "Deflated: probability that the Sharpe ratio is above what the best of as many training runs without skill "
        "would have shown.",
        quiet=True,
    )
    page.facts([*_glossary(sections), *_words(sections)])


def _glossary(sections: Sequence[Section]) -> list[tuple[str, str]]:
    """Returns what each agent and each classical policy of the page is."""
    names = dict.fromkeys(one.name for section in sections for one in section.comparison.policies)
    agents = [(name, words) for name in _agents(sections) if (words := ALGORITHMS.get(name))]
    return agents + [(display_name(name), words) for name in names if (words := rule_words(name) or MEANINGS.get(name))]


def _words(sections: Sequence[Section]) -> list[tuple[str, str]]:
    """Returns the meaning of those words of the field that the page uses."""
    forecasts = [one.forecast for one in sections if one.forecast is not None]
    coded = any(one.codes is not None for one in forecasts)
    absent = () if coded else CODE_WORDS if forecasts else (*FORECAST_WORDS, *CODE_WORDS)
    return [(name, words) for name, words in WORDS.items() if name not in absent]


def _agents(sections: Sequence[Section]) -> list[str]:
    return list(dict.fromkeys(name for section in sections for name in section.comparison.agents))
