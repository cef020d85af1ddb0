"""From trained runs to evidence: everyone trades the test days, and what came of it is measured and put on a page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from configs.schema.evaluate import Evaluate
from envs import Costs
from evaluation.backtest import Backtest
from evaluation.formats import display_name, number, percent
from evaluation.policy_comparison import PolicyComparison, measured
from evaluation.reports.policy import PolicyReport, Section, report
from evaluation.verdict import reach_verdict
from market.storage.array_file import atomic_write, write_json, write_text
from tools.cli import progress
from tools.runs.ensembles import mean_of_seeds
from tools.runs.rollouts import Market, classical, hindsight, index_backtest, references, rule_on, rules


@dataclass(frozen=True, eq=False)
class Entrant:
    """A trained run that takes part.

    Attributes:
        name: Name in tables.
        seeds: Rolls every seed out on the test days at some costs: one backtest each, named after its folder.
    """

    name: str
    seeds: Callable[[Costs], tuple[Backtest, ...]]


def held(market: Market, entrants: Sequence[Entrant], settings: Evaluate) -> PolicyComparison:
    """Returns the contest of `entrants`, every classical policy that applies, and the index where one is given."""
    rivals, simple = rules(market), references(market)
    agents: dict[str, tuple[Backtest, ...]] = {}
    policies: list[Backtest] = []
    by_cost: dict[float, dict[str, tuple[Backtest, ...]]] = {points: {} for points in settings.cost_points}

    def work() -> Iterator[None]:
        for one in entrants:
            agents[one.name] = one.seeds(market.costs)
            yield
        for rule in rivals:
            policies.extend(classical(market, [rule]))
            yield
        for points, found in by_cost.items():
            there = market.at(points)
            for one in entrants:
                found[one.name] = one.seeds(there.costs)
                yield
            found |= {path.name: (path,) for path in classical(there, simple)}
            yield

    count = len(entrants) + len(rivals) + len(by_cost) * (len(entrants) + 1)
    for _ in progress(work(), count, "trading the test days"):
        pass
    index = None if settings.index is None else index_backtest(settings.index, settings.index_asset, market.tape)
    bound = hindsight(market) if settings.hindsight else None
    means = [mean_of_seeds(market, name, seeds) for name, seeds in agents.items() if len(seeds) > 1]
    has_rule = market.states is not None and market.tape.n_assets > 1
    rule = rule_on(market).name if has_rule else None
    return PolicyComparison(agents, (*means, *policies), index, bound, by_cost, rule)


def chapter(
    title: str, market: Market, entrants: Sequence[Entrant], settings: Evaluate, known: dict[str, Any], tried: Any
) -> Section:
    """Returns one market's part of the evidence.

    Args:
        title: Names the market.
        market: Test days and terms.
        entrants: Trained runs.
        settings: How to judge.
        known: What else ``metrics.json`` says, such as the prediction measures.
        tried: `tools.runs.trials.Trials` beside the entrants.
    """
    contest = held(market, entrants, settings)
    metrics = measured(contest, tried.sharpes, settings.seed) | known
    metrics["verdict"] = {name: _told(metrics, name) for name in contest.agents}
    return Section(title, metrics, contest)


def write(study: PolicyReport, folder: Path) -> None:
    """Writes ``report.html``, ``backtest.parquet``, ``policies.parquet`` and, last, ``metrics.json``.

    ``backtest.parquet`` is the first agent's account in full; ``policies.parquet`` has the daily returns of everyone,
    a column each.
    """
    first = study.chapters[0]
    agents = list(first.contest.agents)
    first.contest.everyone[agents[0]].save(folder / "backtest.parquet")
    columns = {}
    for one in study.chapters:
        prefix = f"{one.title}: " if len(study.chapters) > 1 else ""
        columns |= {f"{prefix}{name}": _series(path) for name, path in one.contest.everyone.items()}
        for name, seeds in one.contest.agents.items():
            columns |= {f"{prefix}{name}/{seed.name}": _series(seed) for seed in seeds}
    with atomic_write(folder / "policies.parquet") as aside:
        pd.DataFrame(columns).rename_axis("date").to_parquet(aside)
    write_text(folder / "report.html", report(study))
    metrics: dict[str, Any] = dict(first.metrics)
    if len(study.chapters) > 1:
        metrics = {"chapters": {one.title: one.metrics for one in study.chapters}}
    write_json(folder / "metrics.json", metrics)


def show(chapter: Section) -> None:
    """Prints one row a policy, and the verdict on each agent."""
    table = Table(title=chapter.title)
    table.add_column("policy", min_width=16)
    for column in ("a year", "Sharpe [95 %]", "drawdown", "wealth", "turnover"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, one in chapter.metrics["performance"].items():
        interval = one["sharpe_ci"]
        within = "" if interval is None or one.get("cheats") else f" [{number(interval[0])}, {number(interval[1])}]"
        cells = (percent(one["annual_return"]), number(one["sharpe"]) + within, percent(one["max_drawdown"]))
        style = "bold" if name in chapter.contest.agents else "dim" if one.get("cheats") else None
        table.add_row(
            display_name(name).replace(": sees the future", ""),
            *cells,
            number(one["final_wealth"]),
            percent(one["turnover"]),
            style=style,
        )
    console = Console()
    console.print(table)
    for name in chapter.contest.agents:
        console.print(differences(chapter, name))
        found = reach_verdict(chapter.metrics, name)
        console.print(f"{display_name(name)}: {found.word}. {found.summary}", highlight=False)


def differences(chapter: Section, name: str) -> Table:
    """Returns what an agent earned beyond each reference on the same days, with the intervals of the difference."""
    table = Table("reference", title=f"{display_name(name)} less each reference, the same days")
    for column in ("a year [95 %]", "Sharpe [95 %]"):
        table.add_column(column, justify="right", no_wrap=True)
    for other, found in chapter.metrics["comparisons"][name].items():
        cells = []
        for measure, form in (("annual_return", percent), ("sharpe", number)):
            one = found[measure]
            within = "" if one["ci"] is None else f" [{form(one['ci'][0])}, {form(one['ci'][1])}]"
            cells.append(form(one["difference"]) + within)
        table.add_row(display_name(other), *cells)
    return table


def _told(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    found = reach_verdict(metrics, name)
    return {"word": found.word, "sentences": [found.summary, *found.sentences]}


def _series(path: Backtest) -> "pd.Series[float]":
    return pd.Series(path.returns, index=pd.DatetimeIndex(path.dates))
