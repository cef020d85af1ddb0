"""Cross-sectional transforms: each day by itself, over the assets that have a value.

Every function works along the axis of the assets (the last one unless told), leaves NaN where there is no finite value,
and never mixes two days, so its results are causal by construction. Permuting the assets permutes the result.
"""

import numpy as np

from market.arrays import AnyFloatArray, CodeArray, FloatArray

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
