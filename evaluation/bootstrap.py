"""Stationary block bootstrap: intervals that keep the dependence between neighbouring days.

Blocks of days of random length are drawn with replacement and joined until the series is as long as before. Several
series drawn together share their days, so what they have in common is kept.

References: Politis and Romano (1994), The Stationary Bootstrap; Politis and White (2004) with the correction of Patton,
Politis and White (2009) for the block length. Both as implemented by `arch`.
"""

from collections.abc import Callable

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from market.arrays import FloatArray

MIN_DAYS = 20
"""A shorter series has no interval: too few blocks to learn from how they differ."""

N_DRAWS = 1000


def bootstrap_draws(
    statistic: Callable[..., float],
    *series: FloatArray,
    n_draws: int = N_DRAWS,
    min_block: int = 1,
    seed: int = 0,
) -> FloatArray:
    """Returns `statistic` of `n_draws` resampled versions of `series`, ``[n_draws]``; equal seeds give equal draws.

    Args:
        statistic: Takes as many arrays as there are series and returns a number, NaN where it is undefined.
        *series: ``[T]`` each, finite, of the same days; every draw takes the same days of all of them.
        n_draws: Number of draws.
        min_block: Smallest mean block in days, for example the horizon of overlapping returns.
        seed: Seed of the draws.
    """
    block = min(max(min_block, *(block_days(one) for one in series)), len(series[0]))
    resampled = StationaryBootstrap(block, *series, seed=np.random.default_rng(seed))

    def as_array(*drawn: FloatArray) -> FloatArray:
        return np.array([statistic(*drawn)])

    return np.asarray(resampled.apply(as_array, n_draws), dtype=np.float64).reshape(n_draws)


def bootstrap_interval(
    statistic: Callable[..., float],
    *series: FloatArray,
    confidence: float = 0.95,
    n_draws: int = N_DRAWS,
    min_block: int = 1,
    seed: int = 0,
) -> list[float] | None:
    """Returns the percentile interval ``[low, high]`` of `statistic`; the arguments are those of `bootstrap_draws`.

    Over many simulated series the interval holds the true value about as often as `confidence` says. None for fewer
    than `MIN_DAYS` days, or where the statistic is undefined in more than half of the draws; other undefined draws are
    left out.
    """
    if len(series[0]) < MIN_DAYS:
        return None
    draws = bootstrap_draws(statistic, *series, n_draws=n_draws, min_block=min_block, seed=seed)
    return percentile_interval(draws, confidence)


def percentile_interval(draws: FloatArray, confidence: float) -> list[float] | None:
    """Returns the central part of the defined draws, ``[low, high]``; None where most are undefined.

    Raises:
        ValueError: The confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected a number between 0 and 1, such as 0.95")
    defined = draws[np.isfinite(draws)]
    if 2 * len(defined) < len(draws):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return [float(low), float(high)]


def block_days(series: FloatArray) -> int:
    """Returns the mean block length in days that suits the dependence of `series`; 1 where it is short or constant."""
    if len(series) < MIN_DAYS or np.ptp(series) == 0:
        return 1
    return max(int(np.ceil(optimal_block_length(series)["stationary"].iloc[0])), 1)
