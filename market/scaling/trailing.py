"""Trailing z-scores of a whole feature panel, compiled.

The window that ends at a day is the head of its block of `window` days and the tail of the block before. The moments of
both grow one value at a time (Welford) and are merged (Chan, Golub and LeVeque 1983, equation 2.1). Nothing is ever
subtracted, so an outlier leaves no trace once it has left the window, and row ``t`` depends on rows ``<= t`` to the
last bit.
"""

import numpy as np
from numba import njit

from market.arrays import AnyFloatArray, BoolArray, FeatureArray, FloatArray
from market.scaling.cross_section import CONSTANT


@njit(cache=True)
def trailing_zscore(values: AnyFloatArray, listed: BoolArray, window: int, limit: float, scaled: FeatureArray) -> None:
    """Writes each value's z-score against the last `window` days of its own asset and feature, itself included.

    Args:
        values: ``[T, N, F]``; what is not finite does not count.
        listed: ``[T, N]``; days on which an asset is not listed do not count.
        window: Days in the window.
        limit: Scores are cut off at plus and minus this.
        scaled: ``[T, N, F]`` to write to, `values` itself if need be; 0 where there is no value, fewer than two of
            them, or no spread.
    """
    for n in range(values.shape[1]):
        _score_asset(values[:, n].copy(), listed[:, n], window, limit, scaled[:, n])


@njit(cache=True)
def _score_asset(values: AnyFloatArray, listed: BoolArray, window: int, limit: float, scaled: FeatureArray) -> None:
    tails = np.zeros((window + 1, values.shape[1], 3))  # of the block before, from each of its rows to its end
    for start in range(0, len(values), window):
        for back in range(window - 1, -1 if start else window, -1):
            tails[back] = tails[back + 1]
            if listed[start - window + back]:
                _grow(tails[back], values[start - window + back])
        head = np.zeros((values.shape[1], 3))
        for t in range(start, min(start + window, len(values))):
            scaled[t] = 0
            if listed[t]:
                _grow(head, values[t])
                _score(values[t], head, tails[t - start + 1], limit, scaled[t])


@njit(cache=True)
def _grow(moments: FloatArray, values: AnyFloatArray) -> None:
    """Adds one value a feature to its count, its mean and its sum of squares about the mean, ``[F, 3]``."""
    for f in range(len(values)):
        value = np.float64(values[f])
        if np.isfinite(value):
            distance = value - moments[f, 1]
            moments[f, 0] += 1
            moments[f, 1] += distance / moments[f, 0]
            moments[f, 2] += distance * (value - moments[f, 1])


@njit(cache=True)
def _score(values: AnyFloatArray, head: FloatArray, tail: FloatArray, limit: float, scaled: FeatureArray) -> None:
    """Writes the z-score of each feature against the union of both samples."""
    for f in range(len(values)):
        count = head[f, 0] + tail[f, 0]
        if not np.isfinite(values[f]) or count < 2:
            continue
        apart = head[f, 1] - tail[f, 1]
        mean = tail[f, 1] + apart * head[f, 0] / count
        squares = head[f, 2] + tail[f, 2] + apart * apart * head[f, 0] * tail[f, 0] / count
        spread = np.sqrt(squares / count)
        if spread > CONSTANT * abs(mean):
            scaled[f] = min(max((values[f] - mean) / spread, -limit), limit)
