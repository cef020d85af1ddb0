"""Cross-sectional transforms: each day by itself, over the assets that have a value.

Every function works along the axis of the assets (the last one unless told), leaves NaN where there is no finite value,
and never mixes two days, so its results are causal by construction. Permuting the assets permutes the result.
"""

import numpy as np
from numba import njit

from market.arrays import AnyFloatArray, BoolArray, CodeArray, FeatureArray, FloatArray

CONSTANT = 1e-6  # a spread this small beside the level is rounding, not information


def cross_sectional_zscore(values: AnyFloatArray, axis: int = -1) -> AnyFloatArray:
    """Returns `values` less the mean of their row, over its standard deviation (population), in the same shape.

    The result of a row has mean 0 and standard deviation 1, and does not change when the row is shifted or scaled up.
    A row without spread becomes 0.
    """
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=axis, keepdims=True), 1)
    mean = np.where(known, values, 0).sum(axis=axis, keepdims=True, dtype=np.float64) / count
    centred = np.where(known, values - mean, 0)
    spread = np.sqrt(np.square(centred).sum(axis=axis, keepdims=True) / count)
    varies = spread > CONSTANT * np.abs(mean)
    scored: AnyFloatArray = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
    scored[~known] = np.nan
    return scored.astype(values.dtype, copy=False)


@njit(cache=True, nogil=True, error_model="numpy")
def write_zscores(values: AnyFloatArray, listed: BoolArray, limit: float, out: FeatureArray) -> None:
    """Writes the z-scores of ``values [T, N, F]`` among the listed assets of a day to `out`, which may be `values`.

    To the bit what `cross_sectional_zscore` returns, cut off at plus and minus `limit`, and 0 where nothing is known;
    a day is read while it is in the processor's cache, so this takes a sixth of the time.
    """
    days, assets, features = values.shape
    count, mean, spread = np.empty(features), np.empty(features), np.empty(features)
    for t in range(days):
        count[:], mean[:], spread[:] = 0.0, 0.0, 0.0
        for a in range(assets):
            if listed[t, a]:
                for f in range(features):
                    value = np.float64(values[t, a, f])
                    known = np.isfinite(value)
                    count[f] += 1.0 if known else 0.0
                    mean[f] += value if known else 0.0
        for f in range(features):
            count[f] = max(count[f], 1.0)
            mean[f] /= count[f]
        for a in range(assets):
            if listed[t, a]:
                for f in range(features):
                    value = np.float64(values[t, a, f])
                    centred = value - mean[f]
                    spread[f] += centred * centred if np.isfinite(value) else 0.0
        for f in range(features):
            spread[f] = np.sqrt(spread[f] / count[f])
            if not spread[f] > CONSTANT * abs(mean[f]):
                spread[f] = np.inf
        for a in range(assets):
            for f in range(features):
                value = np.float64(values[t, a, f])
                scored = (value - mean[f]) / spread[f]
                known = listed[t, a] and np.isfinite(value)
                out[t, a, f] = np.float32(min(max(scored, -limit), limit)) if known else np.float32(0.0)


def cross_sectional_rank(values: AnyFloatArray, axis: int = -1) -> AnyFloatArray:
    """Returns centred ranks of `values` within their row, ``(rank - (n + 1) / 2) / n * sqrt(12)``, in the same shape.

    Ties share their average rank. A row has mean 0 and, without ties, standard deviation ``sqrt(1 - 1 / n ** 2)``, so a
    rank is of the size of a z-score (qlib's ``CSRankNorm`` is the same up to its centre). A lone value becomes 0. The
    result does not change under any increasing function of `values`.
    """
    rank, count = average_ranks(np.moveaxis(values, axis, -1))
    centred: AnyFloatArray = (rank - (count + 1) / 2) / np.maximum(count, 1) * np.sqrt(12)
    return np.moveaxis(centred.astype(values.dtype, copy=False), -1, axis)


def quantile_classes(values: AnyFloatArray, n_classes: int) -> CodeArray:
    """Returns the quantile of each value within its row, 0 (lowest) to ``n_classes - 1``, and -1 where unknown.

    Classes are as equal in size as ties allow; equal values share a class.

    Raises:
        ValueError: There are fewer than two classes.
    """
    if n_classes < 2:
        raise ValueError(f"n_classes is {n_classes}, expected at least 2")
    rank, count = average_ranks(values)
    share = (rank - 0.5) / np.maximum(count, 1)  # in (0, 1)
    return np.nan_to_num(np.floor(share * n_classes), nan=-1).astype(np.int32)


def average_ranks(values: AnyFloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns ranks from 1 along the last axis, ties averaged, NaN where not finite, and the counts ``[..., 1]``."""
    known = np.isfinite(values)
    filled = np.ascontiguousarray(
        np.where(known, values, np.inf)
    )  # unknown values sort last, and their ranks are erased below
    order = np.argsort(filled, axis=-1)
    ordered = np.take_along_axis(filled, order, axis=-1)
    position = np.broadcast_to(np.arange(values.shape[-1], dtype=np.float64), values.shape)
    starts = np.ones(values.shape, dtype=np.bool_)
    np.not_equal(ordered[..., 1:], ordered[..., :-1], out=starts[..., 1:])
    ends = np.ones(values.shape, dtype=np.bool_)
    ends[..., :-1] = starts[..., 1:]
    first = np.maximum.accumulate(np.where(starts, position, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, position, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    rank = np.empty(values.shape)
    np.put_along_axis(rank, order, (first + last) / 2 + 1, axis=-1)
    rank[~known] = np.nan
    return rank, known.sum(axis=-1, keepdims=True).astype(np.float64)
