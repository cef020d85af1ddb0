"""Block bootstrap: intervals that keep the dependence between neighbouring days.

Blocks of days are drawn with replacement and joined until the series is as long as before. Several series drawn
together share their days, so what they have in common is kept.

A measure that is a smooth function of means (`evaluation.moments`) gets the studentised interval of the circular block
bootstrap: each draw is divided by its own standard error, which comes from the spread of its blocks, so that short
series and few blocks widen the interval as they should. Any other statistic gets the percentile interval of the
stationary bootstrap, which is somewhat too narrow on short or strongly dependent series. `benchmarks/coverage.py`
measures how often either holds the truth.

References: Politis and Romano (1994), The Stationary Bootstrap; Götze and Künsch (1996), Second-Order Correctness of
the Blockwise Bootstrap; Politis and White (2004) with the correction of Patton, Politis and White (2009) for the block
length. Stationary draws and block lengths as implemented by `arch`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evaluation.moments import Form, form_of
from evaluation.performance import DAYS_PER_YEAR
from market.arrays import FloatArray, IntArray

MIN_DAYS = 20
"""A shorter series has no interval: too few blocks to learn from how they differ."""

N_DRAWS = 1000
CONFIDENCE = 0.95
WIDER = 2.0  # blocks of studentised draws are longer than the rule's by this: errors come from within blocks
FEWEST_BLOCKS = 8
FEWEST_OVERLAPPING = 5  # blocks where the overlap of labels asks for long ones
DEGENERATE = 1e-6  # a draw whose error is this small beside that of the series has hit days without movement alone
CHUNK = 2**22  # numbers held at once


class StudentisedDraws(NamedTuple):
    """A measure, its standard error, and how many standard errors each draw lies from it.

    Attributes:
        value: Value of the form, see `evaluation.moments.Form`.
        error: Its standard error, from the spread of overlapping blocks.
        distances: ``[n_draws]`` distance of each draw from `value` in standard errors of that draw, where defined.
    """

    value: float
    error: float
    distances: FloatArray

    def interval(self, confidence: float) -> tuple[float, float]:
        """Returns the symmetric interval of the value."""
        reach = self.error * float(np.quantile(np.abs(self.distances), confidence)) if self.error > 0 else 0.0
        return self.value - reach, self.value + reach

    def p_value(self) -> float:
        """Returns the two-sided probability of a value as far from zero if the truth were zero."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 1 / (len(self.distances) + 1)
        beyond = (np.abs(self.distances) >= abs(self.value) / self.error).sum()
        return float((beyond + 1) / (len(self.distances) + 1))


def bootstrap_interval(
    statistic: Callable[..., float],
    *series: FloatArray,
    confidence: float = CONFIDENCE,
    n_draws: int = N_DRAWS,
    min_block: int = 1,
    seed: int = 0,
    periods_per_year: float = DAYS_PER_YEAR,
) -> list[float] | None:
    """Returns the interval ``[low, high]`` of `statistic`; the arguments are those of `bootstrap_draws`.

    Studentised where the statistic is a smooth function of means, see above, else of percentiles. Over many simulated
    series the interval holds the true value about as often as `confidence` says. None for fewer than `MIN_DAYS` days,
    or where the statistic is undefined in more than half of the draws; other undefined draws are left out.

    Raises:
        ValueError: The confidence is not between 0 and 1, or a series holds a value that is not finite.
    """
    _check(confidence, series)
    if len(series[0]) < MIN_DAYS:
        return None
    form = form_of(statistic, periods_per_year) if len(series) == 1 else None
    if form is None:
        draws = bootstrap_draws(statistic, *series, n_draws=n_draws, min_block=min_block, seed=seed)
        return percentile_interval(draws, confidence)
    found = studentised_draws(form, *series, n_draws=n_draws, min_block=min_block, seed=seed)
    if found is None:
        return None
    bounds = np.array(found.interval(confidence))
    return [float(bound) for bound in form.measure(bounds, len(series[0]))]


def studentised_draws(
    form: Form, *series: FloatArray, n_draws: int = N_DRAWS, min_block: int = 1, seed: int = 0
) -> StudentisedDraws | None:
    """Returns the studentised draws of a smooth measure; None where it is undefined here or in most draws.

    Args:
        form: The measure.
        *series: ``[T]`` each, finite, of the same days; every draw takes the same days of all of them.
        n_draws: Number of draws.
        min_block: Smallest block in days, see `overlapping_block`.
        seed: Seed of the draws.
    """
    columns = form.columns(*series)  # [T, C]
    days, scale = len(columns), columns.std(axis=0)
    block = studentised_block(columns, min_block)
    count = -(-days // block)
    means = columns.mean(axis=0)
    value = float(form.value(means, days))
    blocks = _block_means(columns - means, block)  # [T, C], one circular block from each day
    slope = form.gradient(means, scale, days)
    error = float(np.sqrt(np.square(blocks @ slope).mean() / count * count / (count - 1)))
    if not np.isfinite(value) or not np.isfinite(error):
        return None
    if error <= 1e-9 * np.abs(slope * scale).max(initial=0.0):  # rounding: the measure does not vary
        return StudentisedDraws(value, 0.0, np.zeros(n_draws))
    generator, parts = np.random.default_rng(seed), []
    per_chunk = max(1, CHUNK // blocks[0].size // count)
    for start in range(0, n_draws, per_chunk):
        starts = generator.integers(0, days, (min(per_chunk, n_draws - start), count))
        parts.append(_distances(form, means, scale, value, blocks, starts, DEGENERATE * error))
    distances = np.concatenate(parts)
    known = distances[np.isfinite(distances)]
    return StudentisedDraws(value, error, known) if 2 * len(known) >= n_draws else None


def overlapping_block(horizon: int) -> int:
    """Returns the smallest block for a series whose neighbours share all but one day of `horizon` days."""
    return 1 if horizon == 1 else 2 * horizon


def studentised_block(columns: FloatArray, min_block: int = 1) -> int:
    """Returns the length of circular blocks: the automatic rule's, somewhat longer, and at least `min_block`.

    The rule is asked for every column ``[T, C]`` and the longest block is taken: calm and wild times last longer than
    what returns themselves remember. So long as that leaves `FEWEST_BLOCKS` blocks, or `FEWEST_OVERLAPPING` where
    `min_block` asks for it.
    """
    days = len(columns)
    longest = max(block_days(one, "circular") for one in columns.T)
    automatic = min(int(np.ceil(WIDER * longest)), days // FEWEST_BLOCKS)
    return max(automatic, min(min_block, days // FEWEST_OVERLAPPING), 1)


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
    from arch.bootstrap import StationaryBootstrap  # a second of imports, for those who draw

    resampled = StationaryBootstrap(block, *series, seed=np.random.default_rng(seed))

    def as_array(*drawn: FloatArray) -> FloatArray:
        return np.array([statistic(*drawn)])

    return np.asarray(resampled.apply(as_array, n_draws), dtype=np.float64).reshape(n_draws)


def percentile_interval(draws: FloatArray, confidence: float) -> list[float] | None:
    """Returns the central part of the defined draws, ``[low, high]``; None where most are undefined.

    Raises:
        ValueError: The confidence is not between 0 and 1.
    """
    _check(confidence, ())
    defined = draws[np.isfinite(draws)]
    if 2 * len(defined) < len(draws):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return [float(low), float(high)]


def block_days(series: FloatArray, kind: str = "stationary") -> int:
    """Returns the block length in days that suits the dependence of `series`; 1 where it is short or constant.

    Args:
        series: ``[T]``.
        kind: ``stationary`` for the mean of random lengths, ``circular`` for one fixed length.
    """
    if len(series) < MIN_DAYS or np.ptp(series) == 0:
        return 1
    from arch.bootstrap import optimal_block_length  # a second of imports, for those who draw

    return max(int(np.ceil(optimal_block_length(series)[kind].iloc[0])), 1)


def _check(confidence: float, series: tuple[FloatArray, ...]) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected a number between 0 and 1, such as 0.95")
    for one in series:
        unknown = np.flatnonzero(~np.isfinite(one))
        if len(unknown):
            raise ValueError(
                f"bootstrap: day {unknown[0]} of the series is {one[unknown[0]]}; drop or correct that day"
            )


def _block_means(centred: FloatArray, block: int) -> FloatArray:
    """Means ``[T, C]`` over the `block` days from each day on, going on at the start after the last day."""
    around = np.concatenate([np.zeros_like(centred[:1]), centred, centred[: block - 1]])
    total = np.cumsum(around, axis=0)
    means: FloatArray = (total[block:] - total[:-block]) / block
    return means


def _distances(
    form: Form,
    means: FloatArray,
    scale: FloatArray,
    value: float,
    blocks: FloatArray,
    starts: IntArray,
    least_error: float,
) -> FloatArray:
    """Distance of each draw ``[S]`` from the value in its own standard errors; NaN where those are below the least."""
    days, count = len(blocks), starts.shape[1]
    drawn = blocks[starts]  # [S, K, C]
    shift = drawn.mean(axis=1)
    slopes = form.gradient(means + shift, scale, days)
    within = np.einsum("skc,sc->sk", drawn - shift[:, None], slopes)
    errors = np.sqrt(np.square(within).sum(axis=1) / (count - 1) / count)
    gaps = form.value(means + shift, days) - value
    distances: FloatArray = np.divide(gaps, errors, out=np.full(len(gaps), np.nan), where=errors > least_error)
    return distances
