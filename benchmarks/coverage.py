"""How honest the evidence is: simulated coverage of intervals, size of tests, and what deflation lets pass.

    python -m benchmarks coverage [--series 400] [--searches 1000]

Each row simulates many series whose truth is known and counts how often the 95 % interval holds it, how often a
worthless forecast is called significant, or how often a search ends above a deflated Sharpe ratio of .95.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from scipy import signal

from evaluation.bootstrap import bootstrap_interval, overlapping_block
from evaluation.deflation import deflated_sharpe
from evaluation.performance import sharpe_ratio
from evaluation.prediction import newey_west_t
from market.arrays import FloatArray

YEAR = 252
DRAWS = 400
BURN_IN = 500


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes of the simulation."""

    series: int = 400
    """Series for each row of coverage and size."""
    searches: int = 1000
    """Searches for each row of deflation."""
    seed: int = 0
    """Of everything that is drawn."""


def main(argv: Sequence[str]) -> None:
    """Prints three tables."""
    options = tyro.cli(Options, args=list(argv), description=__doc__)
    rng = np.random.default_rng(options.seed)
    show("95 % interval of the Sharpe ratio holds the truth", sharpe_rows(rng, options.series))
    show("mean rank IC of a worthless, persistent forecast", rank_ic_rows(rng, options.series))
    show("searches that end above a deflated Sharpe ratio of .95", deflation_rows(rng, options.searches))


def show(title: str, rows: Iterator[dict[str, str]]) -> None:
    """Prints rows with the same keys as a table."""
    found = list(rows)
    table = Table(*found[0], title=title)
    for row in found:
        table.add_row(*row.values())
    Console(width=120).print(table)


def sharpe_rows(rng: np.random.Generator, count: int) -> Iterator[dict[str, str]]:
    """Yields the coverage of the interval of the Sharpe ratio, a row for each law, length and true Sharpe ratio."""
    for name, draw in RETURNS.items():
        for years in (3, 10):
            row = {"returns": name, "years": str(years)}
            for truth in (0.0, 1.0, 2.0):
                row[f"true Sharpe {truth:g}"] = f"{sharpe_coverage(rng, draw, years, truth, count):.3f}"
            yield row


def sharpe_coverage(
    rng: np.random.Generator,
    draw: Callable[[np.random.Generator, int, int], FloatArray],
    years: int,
    truth: float,
    count: int,
) -> float:
    """Returns the share of `count` series whose interval holds the true annual Sharpe ratio."""
    noise = draw(rng, count, years * YEAR)
    held = 0
    for seed, one in enumerate(0.01 * (noise + truth / math.sqrt(YEAR))):
        low, high = bootstrap_interval(sharpe_ratio, one, n_draws=DRAWS, seed=seed) or (math.nan, math.nan)
        held += low <= truth <= high
    return held / count


def rank_ic_rows(rng: np.random.Generator, count: int) -> Iterator[dict[str, str]]:
    """Yields coverage of the interval and size of the t test of the mean rank IC, by horizon and length."""
    for horizon in (1, 5, 20):
        for years in (2, 3, 10):
            coverage, size = rank_ic_honesty(rng, horizon, years * YEAR, count)
            yield {
                "horizon": str(horizon),
                "years": str(years),
                "interval holds zero": f"{coverage:.3f}",
                "|t| > 1.96": f"{size:.3f}",
            }


def rank_ic_honesty(rng: np.random.Generator, horizon: int, days: int, count: int) -> tuple[float, float]:
    """Returns how often the interval holds the true mean of zero, and how often the t statistic exceeds 1.96."""
    held = rejected = 0
    for seed in range(count):
        one = worthless_rank_ic(rng, days, horizon)
        low, high = bootstrap_interval(
            np.mean, one, n_draws=DRAWS, min_block=overlapping_block(horizon), seed=seed
        ) or (math.nan, math.nan)
        held += low <= 0 <= high
        rejected += abs(newey_west_t(one, horizon) or 0.0) > 1.96
    return held / count, rejected / count


def worthless_rank_ic(
    rng: np.random.Generator, days: int, horizon: int, memory: float = 0.95, assets: int = 20
) -> FloatArray:
    """Returns daily RankICs ``[T]`` of a persistent forecast that knows nothing, of overlapping returns."""
    noise = rng.normal(size=(days + BURN_IN, assets))
    forecast = signal.lfilter([1.0], [1.0, -memory], noise, axis=0)[BURN_IN:]
    total = np.cumsum(rng.normal(size=(days + horizon, assets)), axis=0)
    ranked = [
        one.argsort(axis=1).argsort(axis=1) - (assets - 1) / 2 for one in (forecast, total[horizon:] - total[:-horizon])
    ]
    daily: FloatArray = (ranked[0] * ranked[1]).mean(axis=1) / ((assets**2 - 1) / 12)
    return daily


def deflation_rows(rng: np.random.Generator, count: int) -> Iterator[dict[str, str]]:
    """Yields the share of searches that pass, without skill and with one strategy of a true Sharpe ratio of 1.5."""
    for trials in (10, 50, 500):
        for known in (0.0, 0.1, 0.5, 1.0):
            yield {
                "trials": str(trials),
                "others known": f"{known:.0%}",
                "without skill, 3 years": f"{passing(rng, trials, known, 3, 0.0, count):.3f}",
                "without skill, 10 years": f"{passing(rng, trials, known, 10, 0.0, count):.3f}",
                "true Sharpe 1.5, 10 years": f"{passing(rng, trials, known, 10, 1.5, count):.3f}",
            }


def passing(rng: np.random.Generator, trials: int, known: float, years: int, skill: float, count: int) -> float:
    """Returns the share of searches whose reported strategy has a deflated Sharpe ratio above .95.

    Without skill the best of all is reported, with skill the one that has it. Sharpe ratios of the others are drawn
    from their law, which for so many days is normal; the reported series is drawn day by day to have its Sharpe ratio.
    """
    days, passed = years * YEAR, 0
    for _ in range(count):
        sharpes = rng.normal(size=trials) * math.sqrt(YEAR / days)
        sharpes[0] += skill
        reported = 0 if skill else int(sharpes.argmax())
        noise = rng.normal(size=days)
        noise = (noise - noise.mean()) / noise.std(ddof=1)
        returns = 0.01 * (noise + sharpes[reported] / math.sqrt(YEAR))
        others = np.delete(sharpes, reported)
        shown = others[: round(known * len(others))].tolist()
        found = deflated_sharpe(returns, [sharpes[reported], *shown, *[None] * (trials - 1 - len(shown))])
        passed += found is not None and found > 0.95
    return passed / count


def independent(rng: np.random.Generator, count: int, days: int) -> FloatArray:
    """Returns independent normal series ``[S, T]``."""
    return rng.normal(size=(count, days))


def autoregressive(rng: np.random.Generator, count: int, days: int, memory: float = 0.2) -> FloatArray:
    """Returns autoregressive series of unit variance ``[S, T]``."""
    noise = rng.normal(size=(count, days + BURN_IN))
    series: FloatArray = signal.lfilter([1.0], [1.0, -memory], noise, axis=1)[:, BURN_IN:] * math.sqrt(1 - memory**2)
    return series


def garch(
    rng: np.random.Generator, count: int, days: int, news: float = 0.08, memory: float = 0.9, freedom: float = 5.0
) -> FloatArray:
    """Returns GARCH(1, 1) series of unit variance with Student's t innovations ``[S, T]``."""
    noise = rng.standard_t(freedom, (days + BURN_IN, count)) * math.sqrt((freedom - 2) / freedom)
    variance, series = np.ones(count), np.empty((days + BURN_IN, count))
    for day in range(days + BURN_IN):
        series[day] = np.sqrt(variance) * noise[day]
        variance = 1 - news - memory + news * series[day] ** 2 + memory * variance
    return series[BURN_IN:].T


RETURNS: dict[str, Callable[[np.random.Generator, int, int], FloatArray]] = {
    "independent": independent,
    "AR(1), .2": autoregressive,
    "GARCH(1, 1), t with 5": garch,
}
"""Laws of daily returns, of unit variance."""
