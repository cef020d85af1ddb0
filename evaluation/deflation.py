"""Sharpe ratios against chance: how likely one result is luck, and how likely the best of many.

Returns are net simple returns ``[T]``, all finite. A result that is undefined is None.
"""

import math
from collections.abc import Sequence

import numpy as np

from evaluation.performance import DAYS_PER_YEAR, kurtosis, sharpe_ratio, skewness
from market.arrays import FloatArray


def probabilistic_sharpe(
    returns: FloatArray, benchmark_sharpe: float = 0.0, periods_per_year: float = DAYS_PER_YEAR
) -> float | None:
    """Returns the probability that the true Sharpe ratio exceeds `benchmark_sharpe` (annual), given its estimate.

    Accounts for the length, the skewness and the kurtosis of the returns; assumes that days are independent. None where
    the Sharpe ratio is undefined.

    Reference: Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, equation 11.
    """
    sharpe = sharpe_ratio(returns, periods_per_year=periods_per_year)
    if not math.isfinite(sharpe):
        return None
    root = math.sqrt(periods_per_year)
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
    from scipy import stats  # slow to import

    return float(stats.norm.cdf((sharpe - benchmark) / _sharpe_error(sharpe, n_days, skew, kurt)))


def _sharpe_error(sharpe: float, n_days: int, skew: float, kurt: float) -> float:
    return math.sqrt((1 - skew * sharpe + (kurt - 1) / 4 * sharpe**2) / (n_days - 1))


def expected_best_sharpe(variance: float, n_trials: int) -> float:
    """Returns the Sharpe ratio that the best of `n_trials` worthless trials is expected to show.

    Zero for a single trial. In the units of `variance`: a day's for the variance of daily Sharpe ratios.

    Reference: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, equation 1.
    """
    from scipy import stats  # slow to import

    if n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}, expected at least 1: the trial that is reported")
    if n_trials == 1:
        return 0.0
    quantiles = stats.norm.ppf([1 - 1 / n_trials, 1 - 1 / (n_trials * math.e)])
    return float(math.sqrt(variance) * ((1 - np.euler_gamma) * quantiles[0] + np.euler_gamma * quantiles[1]))


def deflated_sharpe(
    returns: FloatArray, trials: Sequence[float | None], periods_per_year: float = DAYS_PER_YEAR
) -> float | None:
    """Returns the probability that the best of as many trials without skill would have shown a lower Sharpe ratio.

    With one trial it is `probabilistic_sharpe` against zero; every further trial lowers it. In a search among worthless
    strategies it exceeds 0.95 in about one of twenty searches, whatever share of the other results is known
    (`benchmarks/coverage.py`). None where the Sharpe ratio of `returns` is undefined.

    Trials without skill differ by chance alone with a variance of ``1 / (T - 1)`` in daily units. Where the known
    ones, the reported one left out, differ by more, their variance is taken: they may come from shorter series, or
    from configurations that truly differ. Bailey and Lopez de Prado compare with the *expected* best
    (`expected_best_sharpe`); here the whole distribution of the best counts, since with a hundred trials it varies less
    than a single result does, and theirs then finds less of what is real.

    Args:
        returns: The reported series.
        trials: Annual Sharpe ratios of everything that was tried, the reported one included: seeds times
            configurations, whether or not they were kept. One that is undefined (None, NaN) still counts as tried.
        periods_per_year: Number of returns in a year.

    Reference: Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio.
    """
    from scipy import stats  # slow to import

    if len(trials) == 0:
        raise ValueError("deflated_sharpe: trials is empty; pass the Sharpe ratio of every run, the reported one too")
    annual = sharpe_ratio(returns, periods_per_year=periods_per_year)
    if not math.isfinite(annual):
        return None
    daily, n_days = annual / math.sqrt(periods_per_year), len(returns)
    error = _sharpe_error(daily, n_days, skewness(returns), kurtosis(returns))
    variance = trial_variance(annual, trials, n_days, periods_per_year)
    wider = math.sqrt(variance / chance_variance(n_days, periods_per_year))
    return float(stats.norm.cdf(daily / (error * wider)) ** len(trials))


def chance_variance(n_days: int, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Returns the variance of the annual Sharpe ratio of `n_days` independent returns without skill."""
    return periods_per_year / (n_days - 1)


def trial_variance(
    reported: float, trials: Sequence[float | None], n_days: int, periods_per_year: float = DAYS_PER_YEAR
) -> float:
    """Returns the variance of annual Sharpe ratios of trials without skill: at least that of chance over `n_days`.

    The known trial nearest to the reported one is that one itself and is left out: its skill is what is asked about.
    """
    chance = chance_variance(n_days, periods_per_year)
    known = defined(trials)
    if len(known) < 3:
        return chance
    others = np.delete(known, np.abs(known - reported).argmin())
    return max(chance, float(others.var(ddof=1)))


def defined(values: Sequence[float | None]) -> FloatArray:
    """Returns the values that are known and finite."""
    return np.array([value for value in values if value is not None and math.isfinite(value)], dtype=np.float64)
