"""The worth of an agent's states on the days it learnt on, chose on, and never saw: runs side by side.

    python -m benchmarks honest_states --runs workdir/trade/in_sample workdir/trade/walk_forward

For the train, valid and test days of each run: what the agent (money split equally over its seeds), the rule on the
same forecast, the stocks bought once, and an index where one is given earned beyond equal weight a year, their
information ratios against it, and the paired differences of the agent's annual return to equal weight and to the rule
with their 95 % intervals. Equal weight's own return a year is in its row. Where states had seen the labels of the
train days, the agent's results there mean nothing; that they differ from those on test is what the table shows.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import tyro
from rich.console import Console
from rich.table import Table

from agents.baselines.simple import BuyAndHold, EqualWeight
from evaluation.backtest import Backtest
from evaluation.performance import annual_return, relative_performance
from evaluation.policy_comparison import equal_capital
from evaluation.significance import compare
from market.splits import PARTS
from market.storage.array_file import write_json
from pipeline.control_markets import Part, tape_of
from pipeline.reference_policies import classical_backtests, forecast_rule, index_backtest
from pipeline.trained_run import TrainedRun, open_run

EXCESS = ("beyond equal weight", "95 % interval", "IR")
COLUMNS = ("run", "days", "who", "a year", *EXCESS, "beyond the rule", "turnover", "seeds")


@dataclasses.dataclass(frozen=True)
class Options:
    """Runs to trade again."""

    runs: tuple[Path, ...]
    """Finished trading runs of portfolios whose states hold a forecast."""
    index: Path | None = None
    """Prices of a published index, a panel or a table of them; None leaves its row out."""
    index_asset: str | None = None
    """Its name there; None where there is only one."""
    points: float | None = None
    """Basis points that a trade costs, where they are not those of the runs."""
    out: Path | None = None
    """File that receives the figures as JSON."""


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks honest_states")
    rows = [row for run in options.runs for part in PARTS for row in measured(open_run(run), cast(Part, part), options)]
    if options.out is not None:
        write_json(options.out, {"rows": rows})
    Console(width=150).print(table_of(rows))


def measured(run: TrainedRun, part: Part, options: Options) -> Iterator[dict[str, Any]]:
    """Yields the figures of the agent and of its references on one part of a run's days.

    Raises:
        ValueError: The run trades one stock, or its states hold no forecast, so there is no rule to compare with; or
            the index does not cover the days.
    """
    market = replace(run.market, tape=tape_of(run.experiment, run.sources, part))
    market = market if options.points is None else market.at(options.points)
    rule = forecast_rule(market)
    if rule is None:
        raise ValueError(f"{run.folder}: no rule trades on a forecast here; name a portfolio run with one")
    seeds = replace(run, market=market).backtests(market.costs)
    fixed, *others = classical_backtests(market, [rule, BuyAndHold(), EqualWeight()])
    agent, equal = equal_capital(seeds, run.agent), others[-1]
    if options.index is not None:
        others.append(index_backtest(options.index, options.index_asset, market.tape))
    known = {"run": run.folder.name, "part": part, "days": len(agent.returns)}
    known |= {"in_sample_days": int(market.tape.in_sample.sum()), "rule": None, "seeds": []}
    excess = [relative(one, equal)["excess_annual_return"] for one in seeds]
    yield {**known, "who": run.agent, **relative(agent, equal), "rule": paired(agent, fixed), "seeds": excess}
    for other in (fixed, *others):
        yield {**known, "who": other.name, **(absolute(other) if other is equal else relative(other, equal))}


def absolute(path: Backtest) -> dict[str, Any]:
    """Returns a backtest's annual return and turnover, and None where it would be compared with itself."""
    yearly = annual_return(path.returns, periods_per_year=path.periods_per_year)
    known = {"annual_return": yearly, "turnover": float(path.turnover.mean())}
    return known | dict.fromkeys(("excess_annual_return", "information_ratio", "equal"))


def relative(path: Backtest, equal: Backtest) -> dict[str, Any]:
    """Returns how a backtest compares with equal weight."""
    found = relative_performance(path.returns, equal.returns, periods_per_year=path.periods_per_year)
    names = ("excess_annual_return", "information_ratio")
    return absolute(path) | {name: found[name] for name in names} | {"equal": paired(path, equal)}


def paired(path: Backtest, other: Backtest) -> dict[str, Any]:
    """Returns the paired difference of annual returns with its interval."""
    days = path.periods_per_year
    found = compare(path.returns, other.returns, annual_return, periods_per_year=days)
    return {"difference": found.difference, "ci": found.interval}


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Returns the figures as a table."""
    table = Table(*COLUMNS)
    for row in rows:
        part = row["part"] + (" (in-sample)" if row["in_sample_days"] else "")
        seeds = " ".join(f"{one:+.0%}" for one in row["seeds"])
        rule = "" if row["rule"] is None else f"{row['rule']['difference']:+.1%} {_interval(row['rule']['ci'])}"
        found = [row["run"], part, row["who"], f"{row['annual_return']:.1%}"]
        if row["equal"] is None:
            found += [""] * len(EXCESS)
        else:
            ratio = f"{row['information_ratio']:.2f}"
            found += [f"{row['excess_annual_return']:+.1%}", _interval(row["equal"]["ci"]), ratio]
        table.add_row(*found, rule, f"{row['turnover']:.1%}", seeds)
    return table


def _interval(ci: Any) -> str:
    return "" if ci is None else f"[{ci[0]:+.1%}, {ci[1]:+.1%}]"
