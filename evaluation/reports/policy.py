"""The report: one self-contained page of what was traded, what came of it, and what that is worth as evidence."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from evaluation.formats import display_name, number, percent
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
from evaluation.verdict import in_sample_warning, limits, listed, reach_verdict
from market.audit import sentence

Facts = tuple[tuple[str, str], ...]
"""Names and texts; a fact named ``run`` begins those of the next run."""


@dataclass(frozen=True, eq=False)
class Section:
    """One market: what was measured on it, and the paths behind the measures.

    Attributes:
        title: Names the market.
        metrics: Content of ``metrics.json``.
        comparison: Who traded.
    """

    title: str
    metrics: Mapping[str, Any]
    comparison: PolicyComparison


@dataclass(frozen=True, eq=False)
class PolicyReport:
    """Everything that one page shows.

    Attributes:
        title: Heading.
        lead: One line below it.
        facts: Names and texts of where the data come from and how they were divided.
        sections: At least one; several where several markets were traded on the same states.
        forecast: The encoder's forecast, None where there is none.
        audit: Content of ``audit.json``, None where there are no states.
        config: The configuration as text.
    """

    title: str
    lead: str
    facts: Facts
    sections: tuple[Section, ...]
    forecast: ForecastEvaluation | None = None
    audit: Mapping[str, Any] | None = None
    config: str = ""


def report(study: PolicyReport) -> str:
    """Returns the page; it loads nothing from a network, and draws the same figures on a phone.

    Its statements come from `evaluation.verdict` alone.
    """
    page = Page(study.title, study.lead)
    for words in _warnings(study.sections):
        page.markup(f'<p class="bad"><b>{html.escape(words)}</b></p>')
    for section in study.sections:
        if len(study.sections) > 1:
            page.heading(section.title)
        _evidence(page, section)
        _limits(page, section)
    for section in study.sections:
        named = f": {section.title}" if len(study.sections) > 1 else ""
        _paths(page, section, named)
    if study.forecast is not None:
        _forecast(page, study)
    if study.audit is not None:
        named = f": {study.sections[0].title}" if len(study.sections) > 1 else ""
        page.heading(f"Audit of the states{named}")
        _audit(page, study.audit)
    page.heading("Data and configuration")
    for rows in _by_run(study.facts):
        page.facts(rows)
    if study.config:
        page.folded("full configuration", study.config)
    _method(page)
    return page.source()


def _warnings(sections: Sequence[Section]) -> list[str]:
    """Returns each warning of in-sample states once, after the names of the sections that it is about."""
    found: dict[str, list[str]] = {}
    for section in sections:
        if words := in_sample_warning(section.metrics):
            found.setdefault(words, []).append(section.title)
    return [words if len(sections) == 1 else f"{listed(named)}: {words}" for words, named in found.items()]


def _by_run(facts: Facts) -> list[Facts]:
    """Returns the facts cut where a new run begins."""
    starts = [row for row, (name, _) in enumerate(facts) if name == "run" and row > 0]
    return [facts[start:stop] for start, stop in pairwise([0, *starts, len(facts)])]


def _evidence(page: Page, section: Section) -> None:
    """The verdict on each agent in words, and the headline table."""
    for name in section.comparison.agents:
        found = reach_verdict(section.metrics, name)
        sentences = "".join(
            f'<li>{html.escape(one.text)} <span class="quiet">[{html.escape(f"{one.table}: {one.row}")}]</span></li>'
            for one in found.statements
        )
        head = f"{html.escape(display_name(name))}: {found.word}."
        tone = ' class="bad"' if found.word == "suspect" else ""
        page.markup(
            f'<div class="verdict"><p{tone}><b>{head}</b> {html.escape(found.summary)}</p><ul>{sentences}</ul></div>'
        )
    page.markup(_seen(section.metrics))
    page.markup(_tiles(section))
    page.heading("Returns, risk and trading", 3)
    page.text(
        "After costs. Small figures are 95 % intervals of the block bootstrap over days; they do not cover the luck of "
        "training, which the seeds show. Those of the deepest loss and of Calmar say how other orders of the same days "
        "would have gone, so the figure itself may lie outside. An agent's row is one account that gives each seed an "
        "equal part of the money; its 'mean of seeds' is one account that holds the average of their weights.",
        quiet=True,
    )
    page.markup(tables.headline_table(section.metrics))
    page.markup(tables.trading_table(section.metrics))
    _hindsight(page, section)
    for name in section.comparison.agents:
        if section.metrics["comparisons"][name]:
            page.heading(f"{display_name(name)} against its references, day by day", 3)
            page.markup(tables.comparison_table(section.metrics, name))


def _seen(metrics: Mapping[str, Any]) -> str:
    """The data that the agent saw and the proof about them, in red where there is none."""
    known = metrics.get("observation") or {"sentence": sentence({}), "proven": False}
    return f'<p class="{"good" if known["proven"] else "bad"}">{html.escape(known["sentence"])}</p>'


def _tiles(section: Section) -> str:
    """The four figures everyone asks for, of the first agent beside the first reference."""
    name = next(iter(section.comparison.agents))
    own, others = section.metrics["performance"][name], list(section.comparison.references)
    other = section.metrics["performance"][others[0]] if others else None
    measures = (
        ("final wealth", "final_wealth", number),
        ("return a year", "annual_return", percent),
        ("Sharpe ratio", "sharpe", number),
        ("deepest loss", "max_drawdown", percent),
    )
    cells = []
    for words, key, form in measures:
        beside = f"{display_name(others[0])} {form(other[key])}" if other is not None else ""
        cells.append(
            f'<div class="tile"><span class="quiet">{html.escape(display_name(name))}, {words}</span>'
            f'<b>{form(own[key])}</b><span class="quiet">{html.escape(beside)}</span></div>'
        )
    return f'<div class="tiles">{"".join(cells)}</div>'


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
        page.markup("<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>")


def _paths(page: Page, section: Section, named: str) -> None:
    comparison, metrics = section.comparison, section.metrics
    everyone = comparison.everyone
    page.heading(f"Wealth and drawdown{named}")
    page.figure(wealth_figure(comparison))
    for name in comparison.agents:
        page.heading(f"What {display_name(name)} held{named}")
        page.figure(weights_figure(everyone[name]))
    page.heading(f"Turnover and costs{named}")
    page.figure(trading_figure(comparison))
    if metrics["cost_sensitivity"]:
        page.heading("If trading cost more, or less", 3)
        page.markup(tables.costs_table(metrics))
        page.figure(costs_figure(metrics["cost_sensitivity"], colours(comparison)))
    for name in comparison.agents:
        page.heading(f"Months of {display_name(name)}, returns in percent{named}")
        page.figure(months_figure(everyone[name]))
    page.heading(f"Calendar years{named}")
    page.markup(tables.years_table(metrics))
    if comparison.index is not None:
        page.heading(f"Against the index{named}")
        page.markup(tables.relative_table(metrics))
    for name in comparison.agents:
        if metrics["performance"][name]["n_seeds"] > 1:
            page.heading(f"Seeds of {display_name(name)}{named}")
            page.markup(tables.seeds_table(metrics["performance"][name]))


def _forecast(page: Page, study: PolicyReport) -> None:
    assert study.forecast is not None
    named = f": {study.sections[0].title}" if len(study.sections) > 1 else ""
    page.heading(f"The encoder's forecast{named}")
    metrics = study.sections[0].metrics
    page.markup(tables.prediction_table({name: metrics[name] for name in ("valid", "test")}))
    if study.forecast.mean.shape[1] < MIN_ASSETS:
        page.text(f"With fewer than {MIN_ASSETS} assets there is no cross-section to judge a forecast by.")
        return
    page.figure(ic_figure(study.forecast))
    page.heading("What the assets of each forecast quantile earned", 3)
    page.text("Test days, before costs; bars are 95 % intervals that take days as independent.", quiet=True)
    page.figure(quantiles_figure(study.forecast))
    if study.forecast.codes is not None:
        page.heading("Use of the codebook")
        page.text(
            "On a day an asset has one code for each position in the look-back window, position 1 for its oldest days; "
            "a residual quantiser has one for each of its levels, the coarsest first.",
            quiet=True,
        )
        page.markup(tables.codebooks_table(metrics["codebooks"]))
        page.figure(codes_figure(study.forecast))


def _audit(page: Page, audit: Mapping[str, Any]) -> None:
    page.text(
        f"{str(audit['verdict']).capitalize()}. Each check rewrites something that the states must not depend on and "
        "measures what moved."
    )
    page.markup(tables.audit_table(audit["checks"].items()))
    if audit["faults"]:
        page.listing("\n".join(audit["faults"]))


def _method(page: Page) -> None:
    page.heading("How to read this page")
    page.text(
        "Decisions are taken after a close and filled as the configuration says; every cost is booked when it is paid. "
        "Years have as many bars as stated above. Intervals: studentised block bootstrap, 1,000 draws; in simulations "
        "they hold the truth in 93 to 96 of 100 cases, in about 90 where returns are wild in clusters and the Sharpe "
        "ratio is near 2. Paired differences draw the same days of both policies. SPA: Hansen's test that no policy "
        "beats the reference, over all policies and agents. "
        "Deflated: probability that the best of as many training runs without skill would have shown less. "
        "top6 drop1: the rule that holds the 6 assets of the best forecast, the agent's own, and exchanges at most 1 a "
        "bar; eta0.5 takes half of the forecast's standard deviation off first. Turnover is the traded share of the "
        "account, bought and sold, over two; costs paid are those of all days over the starting money.",
        quiet=True,
    )
