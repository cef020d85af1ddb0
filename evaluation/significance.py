"""How sure we are: intervals, comparisons and corrections for the number of things tried.

Returns are net simple daily returns ``[T]``, all finite. Everything drawn at random is drawn from a seed, so equal
arguments give equal results. A result that is undefined is None.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from evaluation.bootstrap import (
    MIN_DAYS,
    N_DRAWS,
    StudentisedDraws,
    block_days,
    bootstrap_draws,
    bootstrap_interval,
    percentile_interval,
    studentised_draws,
)
from evaluation.deflation import (
    defined,
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    sharpe_probability,
    trial_variance,
)
from evaluation.moments import difference, form_of
from evaluation.performance import (
    DAYS_PER_YEAR,
    annual_return,
    annual_volatility,
    calmar_ratio,
    final_wealth,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
)
from market.arrays import FloatArray

__all__ = [
    "MEASURES",
    "Comparison",
    "Measure",
    "compare",
    "deflated_sharpe",
    "expected_best_sharpe",
    "intervals",
    "over_seeds",
    "probabilistic_sharpe",
    "sharpe_probability",
    "significance",
    "superior_predictive_ability",
]

Measure = Callable[..., float]

MEASURES: Mapping[str, Measure] = {
    "sharpe": sharpe_ratio,
    "annual_return": annual_return,
    "annual_volatility": annual_volatility,
    "sortino": sortino_ratio,
    "final_wealth": final_wealth,
    "max_drawdown": max_drawdown,
    "calmar": calmar_ratio,
}
"""Measures that `intervals` covers."""
YEARLY: tuple[Measure, ...] = (sharpe_ratio, annual_return, annual_volatility, sortino_ratio, calmar_ratio)
"""Measures that depend on how many periods a year has."""


def intervals(
    returns: FloatArray, confidence: float = 0.95, seed: int = 0, periods_per_year: float = DAYS_PER_YEAR
) -> dict[str, list[float] | None]:
    """Returns the block-bootstrap interval ``[low, high]`` of each of `MEASURES`, as ``sharpe_ci`` and so on.

    A measure that is undefined, as the Sharpe ratio of cash, has none.
    """
    return {
        f"{name}_ci": _interval(measure, returns, confidence, seed, periods_per_year)
        for name, measure in MEASURES.items()
    }


def _interval(
    measure: Measure, returns: FloatArray, confidence: float, seed: int, periods: float
) -> list[float] | None:
    if not len(returns) or not math.isfinite(_yearly(measure, periods)(returns)):
        return None
    if form_of(measure) is not None:
        return bootstrap_interval(measure, returns, confidence=confidence, seed=seed, periods_per_year=periods)
    return bootstrap_interval(_yearly(measure, periods), returns, confidence=confidence, seed=seed)


def _yearly(measure: Measure, periods: float) -> Measure:
    return partial(measure, periods_per_year=periods) if measure in YEARLY else measure


@dataclass(frozen=True)
class Comparison:
    """A measure of one series less the same measure of another.

    Attributes:
        difference: Of the measure; positive where the first series has more of it.
        interval: ``[low, high]``.
        p_value: Two-sided bootstrap probability of a difference as far from zero if there were none.
    """

    difference: float | None
    interval: list[float] | None
    p_value: float | None


def compare(
    first: FloatArray,
    second: FloatArray,
    measure: Measure = sharpe_ratio,
    confidence: float = 0.95,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    min_block: int = 1,
    periods_per_year: float = DAYS_PER_YEAR,
) -> Comparison:
    """Returns by how much `measure` of `first` exceeds that of `second`, drawing the same days of both.

    What moves both alike, such as the market, cancels, so the interval is narrower than the two separate ones suggest.
    Swapping the series negates the result. `min_block` is the smallest block in days, see
    `evaluation.bootstrap.studentised_draws`.

    Raises:
        ValueError: The series have different lengths.
    """
    if first.shape != second.shape:
        raise ValueError(f"series have {len(first)} and {len(second)} days; compare policies on the same days")
    whole = _yearly(measure, periods_per_year)
    gap = float(whole(first) - whole(second)) if len(first) else math.nan
    if not math.isfinite(gap) or len(first) < MIN_DAYS:
        return Comparison(gap if math.isfinite(gap) else None, None, None)
    form = form_of(measure, periods_per_year)
    how = {"n_draws": n_draws, "min_block": min_block, "seed": seed}
    if form is None:
        return _percentile_comparison(
            gap, bootstrap_draws(lambda x, y: whole(x) - whole(y), first, second, **how), confidence
        )
    return _studentised_comparison(gap, studentised_draws(difference(form), first, second, **how), confidence)


def _studentised_comparison(gap: float, found: StudentisedDraws | None, confidence: float) -> Comparison:
    if found is None:
        return Comparison(gap, None, None)
    low, high = found.interval(confidence)
    return Comparison(gap, [gap + low - found.value, gap + high - found.value], found.p_value())


def _percentile_comparison(gap: float, draws: FloatArray, confidence: float) -> Comparison:
    interval = percentile_interval(draws, confidence)
    if interval is None:
        return Comparison(gap, None, None)
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return Comparison(gap, interval, min(1.0, float(2 * (tail + 1) / (np.isfinite(draws).sum() + 1))))


def superior_predictive_ability(
    policies: Mapping[str, FloatArray], benchmark: FloatArray, n_draws: int = N_DRAWS, seed: int = 0
) -> dict[str, float] | None:
    """Returns the p-values of Hansen's test that no policy earns more than the benchmark, whatever was tried.

    A small ``consistent`` p-value says that the best policy is better than luck over all of `policies` explains;
    ``lower`` and ``upper`` bound it. Differences from the benchmark are standardised, so that a volatile policy does
    not decide alone. None for fewer than 20 days, or where no policy differs from the benchmark.

    Raises:
        ValueError: A policy has another length than the benchmark.

    Reference: Hansen (2005), A Test for Superior Predictive Ability, as implemented by `arch`.
    """
    for name, returns in policies.items():
        if returns.shape != benchmark.shape:
            raise ValueError(f"policy '{name}' has {len(returns)} days, the benchmark {len(benchmark)}; take the same")
    gains = [returns - benchmark for returns in policies.values()]
    scaled = [gain / gain.std(ddof=1) for gain in gains if len(gain) >= MIN_DAYS and np.ptp(gain) > 0]
    if not scaled:
        return None
    block = max(block_days(gain) for gain in scaled)
    from arch.bootstrap import SPA  # a second of imports, for those who compare policies

    test = SPA(np.zeros(len(benchmark)), -np.stack(scaled, axis=1), block_size=block, reps=n_draws, seed=seed)
    test.compute()
    return {str(kind): float(value) for kind, value in test.pvalues.items()}


def over_seeds(values: Sequence[float | None], confidence: float = 0.95) -> dict[str, Any]:
    """Returns ``mean``, ``ci`` (Student's t interval of the mean) and ``n_seeds`` of one measure over seeds.

    ``ci`` is None for a single seed; both are None where the measure is undefined for any seed, because the mean of
    the others would flatter.
    """
    from scipy import stats  # slow to import

    known = defined(values)
    if len(known) == 0 or len(known) < len(values):
        return {"mean": None, "ci": None, "n_seeds": len(values)}
    mean = float(known.mean())
    if len(known) == 1:
        return {"mean": mean, "ci": None, "n_seeds": 1}
    error = float(known.std(ddof=1) / math.sqrt(len(known)))
    reach = error * float(stats.t.ppf((1 + confidence) / 2, len(known) - 1))
    return {"mean": mean, "ci": [mean - reach, mean + reach], "n_seeds": len(known)}


def significance(
    returns: FloatArray,
    trials: Sequence[float | None] | None = None,
    seed: int = 0,
    periods_per_year: float = DAYS_PER_YEAR,
) -> dict[str, Any]:
    """Returns what ``metrics.json`` says of the certainty of one series.

    The intervals of `MEASURES`, ``psr``, ``deflated_sharpe``, ``n_trials``, and ``expected_best_sharpe``, the annual
    Sharpe ratio that the best of so many trials without skill is expected to show.

    Args:
        returns: ``[T]``.
        trials: Annual Sharpe ratios of everything tried, see `deflated_sharpe`; None for this series alone.
        seed: Seed of the bootstrap.
        periods_per_year: Number of returns in a year.
    """
    own = sharpe_ratio(returns, periods_per_year=periods_per_year)
    tried = [own] if trials is None else trials
    best = None
    if math.isfinite(own):
        best = expected_best_sharpe(trial_variance(own, tried, len(returns), periods_per_year), len(tried))
    return {
        **intervals(returns, seed=seed, periods_per_year=periods_per_year),
        "psr": probabilistic_sharpe(returns, periods_per_year=periods_per_year),
        "deflated_sharpe": deflated_sharpe(returns, tried, periods_per_year),
        "n_trials": len(tried),
        "expected_best_sharpe": best,
    }
