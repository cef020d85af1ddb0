"""How sure we are: intervals, comparisons and corrections for the number of things tried.

Returns are net simple daily returns ``[T]``, all finite. Everything drawn at random is drawn from a seed, so equal
arguments give equal results. A result that is undefined is None.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from arch.bootstrap import SPA
from scipy import stats

from evaluation.bootstrap import MIN_DAYS, N_DRAWS, block_days, bootstrap_draws, bootstrap_interval, percentile_interval
from evaluation.performance import (
    DAYS_PER_YEAR,
    annual_return,
    annual_volatility,
    kurtosis,
    max_drawdown,
    sharpe_ratio,
    skewness,
)
from market.arrays import FloatArray

Measure = Callable[[FloatArray], float]

MEASURES: Mapping[str, Measure] = {
    "sharpe": sharpe_ratio,
    "annual_return": annual_return,
    "annual_volatility": annual_volatility,
    "max_drawdown": max_drawdown,
}
"""Measures that `intervals` covers."""


def intervals(returns: FloatArray, confidence: float = 0.95, seed: int = 0) -> dict[str, list[float] | None]:
    """Returns the block-bootstrap interval ``[low, high]`` of each of `MEASURES`, as ``sharpe_ci`` and so on."""
    return {
        f"{name}_ci": bootstrap_interval(measure, returns, confidence=confidence, seed=seed)
        for name, measure in MEASURES.items()
    }


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
) -> Comparison:
    """Returns by how much `measure` of `first` exceeds that of `second`, drawing the same days of both.

    What moves both alike, such as the market, cancels, so the interval is narrower than the two separate ones suggest.
    Swapping the series negates the result. `min_block` is the smallest mean block in days, see `bootstrap_draws`.

    Raises:
        ValueError: The series have different lengths.
    """
    if first.shape != second.shape:
        raise ValueError(f"series have {len(first)} and {len(second)} days; compare policies on the same days")
    difference = measure(first) - measure(second)
    if not math.isfinite(difference) or len(first) < MIN_DAYS:
        return Comparison(difference if math.isfinite(difference) else None, None, None)
    draws = bootstrap_draws(
        lambda x, y: measure(x) - measure(y), first, second, n_draws=n_draws, min_block=min_block, seed=seed
    )
    interval = percentile_interval(draws, confidence)
    if interval is None:
        return Comparison(difference, None, None)
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return Comparison(difference, interval, min(1.0, float(2 * (tail + 1) / (np.isfinite(draws).sum() + 1))))


def probabilistic_sharpe(returns: FloatArray, benchmark_sharpe: float = 0.0) -> float | None:
    """Returns the probability that the true Sharpe ratio exceeds `benchmark_sharpe` (annual), given its estimate.

    Accounts for the length, the skewness and the kurtosis of the returns; assumes that days are independent. None where
    the Sharpe ratio is undefined.

    Reference: Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, equation 11.
    """
    sharpe = sharpe_ratio(returns)
    if not math.isfinite(sharpe):
        return None
    root = math.sqrt(DAYS_PER_YEAR)
    return sharpe_probability(
        sharpe / root, benchmark_sharpe / root, len(returns), skewness(returns), kurtosis(returns)
    )


def sharpe_probability(sharpe: float, benchmark: float, n_days: int, skew: float, kurt: float) -> float:
    """Returns the probabilistic Sharpe ratio from its parts.

    Args:
        sharpe: Estimated Sharpe ratio of a day, not annualised.
        benchmark: Sharpe ratio of a day to exceed.
        n_days: Length of the series.
        skew: Skewness of the returns.
        kurt: Kurtosis of the returns, 3 for a normal law.
    """
    spread = math.sqrt((1 - skew * sharpe + (kurt - 1) / 4 * sharpe**2) / (n_days - 1))
    return float(stats.norm.cdf((sharpe - benchmark) / spread))


def expected_best_sharpe(variance: float, n_trials: int) -> float:
    """Returns the Sharpe ratio that the best of `n_trials` worthless trials is expected to show.

    Zero for a single trial. In the units of `variance`: a day's for the variance of daily Sharpe ratios.

    Reference: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, equation 1.
    """
    if n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}, expected at least 1: the trial that is reported")
    if n_trials == 1:
        return 0.0
    quantiles = stats.norm.ppf([1 - 1 / n_trials, 1 - 1 / (n_trials * math.e)])
    return float(math.sqrt(variance) * ((1 - np.euler_gamma) * quantiles[0] + np.euler_gamma * quantiles[1]))


def deflated_sharpe(returns: FloatArray, trials: Sequence[float | None]) -> float | None:
    """Returns the probability that the Sharpe ratio beats the best that its number of trials would show by luck.

    With one trial it is `probabilistic_sharpe` against zero; every further trial lowers it, the more so the more the
    trials differ. None where the Sharpe ratio of `returns` is undefined.

    Args:
        returns: The reported series.
        trials: Annual Sharpe ratios of everything that was tried, the reported one included: seeds times
            configurations, whether or not they were kept. One that is undefined (None, NaN) still counts as tried.
    """
    if len(trials) == 0:
        raise ValueError("deflated_sharpe: trials is empty; pass the Sharpe ratio of every run, the reported one too")
    known = _defined(trials)
    variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    return probabilistic_sharpe(returns, expected_best_sharpe(variance, len(trials)))


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
    test = SPA(np.zeros(len(benchmark)), -np.stack(scaled, axis=1), block_size=block, reps=n_draws, seed=seed)
    test.compute()
    return {str(kind): float(value) for kind, value in test.pvalues.items()}


def over_seeds(values: Sequence[float | None], confidence: float = 0.95) -> dict[str, Any]:
    """Returns ``mean``, ``ci`` (Student's t interval of the mean) and ``n_seeds`` of one measure over seeds.

    ``ci`` is None for a single seed; both are None where the measure is undefined for any seed, because the mean of
    the others would flatter.
    """
    known = _defined(values)
    if len(known) == 0 or len(known) < len(values):
        return {"mean": None, "ci": None, "n_seeds": len(values)}
    mean = float(known.mean())
    if len(known) == 1:
        return {"mean": mean, "ci": None, "n_seeds": 1}
    error = float(known.std(ddof=1) / math.sqrt(len(known)))
    reach = error * float(stats.t.ppf((1 + confidence) / 2, len(known) - 1))
    return {"mean": mean, "ci": [mean - reach, mean + reach], "n_seeds": len(known)}


def significance(returns: FloatArray, trials: Sequence[float | None] | None = None, seed: int = 0) -> dict[str, Any]:
    """Returns what ``metrics.json`` says of the certainty of one series: intervals, ``psr`` and ``deflated_sharpe``.

    Args:
        returns: ``[T]``.
        trials: Annual Sharpe ratios of everything tried, see `deflated_sharpe`; None for this series alone.
        seed: Seed of the bootstrap.
    """
    tried = [sharpe_ratio(returns)] if trials is None else trials
    return {
        **intervals(returns, seed=seed),
        "psr": probabilistic_sharpe(returns),
        "deflated_sharpe": deflated_sharpe(returns, tried),
        "n_trials": len(tried),
    }


def _defined(values: Sequence[float | None]) -> FloatArray:
    return np.array([value for value in values if value is not None and math.isfinite(value)], dtype=np.float64)
