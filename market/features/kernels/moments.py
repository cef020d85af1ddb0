"""Statistics of a window from the sums of its deviations, for many days at once, compiled.

Every function writes to `out`, one value a day: `n` is the number of valid values, `s1` and `s2` the sums of the
deviations and of their squares, `k1` and `k2` the sums of the lag and of its square over the valid days, `sk` that of
the deviations times their lag. With too few values the result is NaN. The loops have no branches, so they run on
vectors.

numba keeps `market.features.kernels.rolling` compiled on disk together with these loops and does not notice a change
in this file alone: whoever changes it changes `market.features.kernels.rolling.LOOPS` too.
"""

import math

import numpy as np
from numba import njit

from market.arrays import FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def mean(n: FloatArray, total: FloatArray, out: FloatArray) -> None:
    """Mean of the values."""
    for i in range(out.size):
        out[i] = total[i] / n[i] if n[i] > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def total(n: FloatArray, total: FloatArray, out: FloatArray) -> None:
    """Sum of the values."""
    for i in range(out.size):
        out[i] = total[i] if n[i] > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def variance(n: FloatArray, s1: FloatArray, s2: FloatArray, out: FloatArray) -> None:
    """Variance with divisor n - 1."""
    for i in range(out.size):
        squares = s2[i] - s1[i] * s1[i] / n[i]
        out[i] = (squares if squares > 0.0 else 0.0) / (n[i] - 1.0) if n[i] > 1 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def deviation(n: FloatArray, s1: FloatArray, s2: FloatArray, out: FloatArray) -> None:
    """Standard deviation with divisor n - 1."""
    variance(n, s1, s2, out)
    for i in range(out.size):
        out[i] = math.sqrt(out[i])


@njit(cache=True, nogil=True, error_model="numpy")
def slope(n: FloatArray, k1: FloatArray, k2: FloatArray, s1: FloatArray, sk: FloatArray, out: FloatArray) -> None:
    """Slope of the least-squares line, per day; the lag runs against time."""
    for i in range(out.size):
        value = (k1[i] * s1[i] - n[i] * sk[i]) / (n[i] * k2[i] - k1[i] * k1[i])
        out[i] = value if n[i] > 1 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def rsquare(
    n: FloatArray, k1: FloatArray, k2: FloatArray, s1: FloatArray, s2: FloatArray, sk: FloatArray, out: FloatArray
) -> None:
    """Squared correlation of values and time; NaN where the values are all equal."""
    for i in range(out.size):
        squares = s2[i] - s1[i] * s1[i] / n[i]
        products = n[i] * sk[i] - k1[i] * s1[i]
        value = products / squares * (products / (n[i] * (n[i] * k2[i] - k1[i] * k1[i])))
        value = value if value < 1.0 else 1.0
        out[i] = value if n[i] > 1 and squares > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def residual(
    n: FloatArray,
    k1: FloatArray,
    k2: FloatArray,
    s1: FloatArray,
    sk: FloatArray,
    now: FloatArray,
    out: FloatArray,
) -> None:
    """Distance of the last value from the line; NaN where `now` is, as deviations are taken from the last value."""
    slope(n, k1, k2, s1, sk, out)
    for i in range(out.size):
        out[i] = 0.0 * now[i] - (s1[i] + out[i] * k1[i]) / n[i]


@njit(cache=True, nogil=True, error_model="numpy")
def covariance(n: FloatArray, sx: FloatArray, sy: FloatArray, sxy: FloatArray, out: FloatArray) -> None:
    """Covariance with divisor n - 1."""
    for i in range(out.size):
        out[i] = (sxy[i] - sx[i] * sy[i] / n[i]) / (n[i] - 1.0) if n[i] > 1 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def correlation(
    n: FloatArray,
    sx: FloatArray,
    sy: FloatArray,
    sxx: FloatArray,
    syy: FloatArray,
    sxy: FloatArray,
    out: FloatArray,
) -> None:
    """Correlation; NaN where either side is constant."""
    for i in range(out.size):
        squares_x, squares_y = sxx[i] - sx[i] * sx[i] / n[i], syy[i] - sy[i] * sy[i] / n[i]
        varies = squares_x > 0.0 and squares_y > 0.0
        spread = math.sqrt(squares_x if varies else 1.0) * math.sqrt(squares_y if varies else 1.0)
        value = (sxy[i] - sx[i] * sy[i] / n[i]) / spread
        value = value if value < 1.0 else 1.0
        value = value if value > -1.0 else -1.0
        out[i] = value if varies and n[i] > 1 else np.nan
