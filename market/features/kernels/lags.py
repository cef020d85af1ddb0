"""Inner loops of the rolling kernels: what further lags add to the sums of many days at once, compiled.

A loop takes either one lag or `STEP` of them; taking several reads and writes each sum once for all of them, which is
three times as fast. The order of addition is that of the lags either way, so the result is the same to the last bit.
``past[i]`` is the value of day ``i`` at the last of the lags, ``past[i + steps - 1]`` at the first. NaN adds nothing.

numba keeps `market.features.kernels.rolling` compiled on disk together with these loops and does not notice a change
in this file alone: whoever changes it changes `market.features.kernels.rolling.LOOPS` too.
"""

import numpy as np
from numba import njit

from market.arrays import FloatArray

STEP = 5


@njit(cache=True, nogil=True, error_model="numpy")
def padded(x: FloatArray, days: int) -> FloatArray:
    """Returns `x` after `days` days without a value."""
    longer = np.empty(days + x.size)
    longer[:days] = np.nan
    longer[days:] = x
    return longer


@njit(cache=True, nogil=True, error_model="numpy")
def filled(x: FloatArray, days: int) -> FloatArray:
    """Returns `x` after `days` zeros, with zero on days without a value."""
    longer = np.zeros(days + x.size)
    for i in range(x.size):
        longer[days + i] = x[i] if x[i] == x[i] else 0.0
    return longer


@njit(cache=True, nogil=True, error_model="numpy")
def add(total: FloatArray, past: FloatArray, steps: int) -> None:
    """Adds the values, zero where there is none."""
    if steps == STEP:
        for i in range(total.size):
            value = total[i]
            for k in range(STEP - 1, -1, -1):
                value += past[i + k]
            total[i] = value
    else:
        for i in range(total.size):
            total[i] += past[i]


@njit(cache=True, nogil=True, error_model="numpy")
def add_deviation(total: FloatArray, squares: FloatArray, past: FloatArray, ref: FloatArray, steps: int) -> None:
    """Adds the deviations from `ref`, and their squares; more sums in one loop would keep it from using vectors."""
    if steps == STEP:
        for i in range(total.size):
            value, square = total[i], squares[i]
            for k in range(STEP - 1, -1, -1):
                deviation = past[i + k] - ref[i]
                deviation = deviation if deviation == deviation else 0.0
                value += deviation
                square += deviation * deviation
            total[i], squares[i] = value, square
    else:
        for i in range(total.size):
            deviation = past[i] - ref[i]
            deviation = deviation if deviation == deviation else 0.0
            total[i] += deviation
            squares[i] += deviation * deviation


@njit(cache=True, nogil=True, error_model="numpy")
def add_lagged_deviation(total: FloatArray, past: FloatArray, ref: FloatArray, lag: float, steps: int) -> None:
    """Adds the deviations from `ref`, each times its lag; `lag` is the first."""
    if steps == STEP:
        for i in range(total.size):
            value = total[i]
            for k in range(STEP - 1, -1, -1):
                product = (lag + (STEP - 1 - k)) * (past[i + k] - ref[i])
                value += product if product == product else 0.0
            total[i] = value
    else:
        for i in range(total.size):
            product = lag * (past[i] - ref[i])
            total[i] += product if product == product else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_product(
    total: FloatArray, past_x: FloatArray, ref_x: FloatArray, past_y: FloatArray, ref_y: FloatArray, steps: int
) -> None:
    """Adds the products of two deviations."""
    if steps == STEP:
        for i in range(total.size):
            value = total[i]
            for k in range(STEP - 1, -1, -1):
                product = (past_x[i + k] - ref_x[i]) * (past_y[i + k] - ref_y[i])
                value += product if product == product else 0.0
            total[i] = value
    else:
        for i in range(total.size):
            product = (past_x[i] - ref_x[i]) * (past_y[i] - ref_y[i])
            total[i] += product if product == product else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_below(total: FloatArray, past: FloatArray, now: FloatArray, steps: int) -> None:
    """Adds two for each value below `now` and one for each equal to it."""
    if steps == STEP:
        for i in range(total.size):
            value = total[i]
            for k in range(STEP - 1, -1, -1):
                value += (2.0 if past[i + k] < now[i] else 0.0) + (1.0 if past[i + k] == now[i] else 0.0)
            total[i] = value
    else:
        for i in range(total.size):
            total[i] += (2.0 if past[i] < now[i] else 0.0) + (1.0 if past[i] == now[i] else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def keep_highest(best: FloatArray, place: FloatArray, past: FloatArray, lag: float, steps: int) -> None:
    """Keeps the highest value and its lag; on a tie the earlier day wins, as in `numpy.argmax`."""
    if steps == STEP:
        for i in range(best.size):
            value, where = best[i], place[i]
            for k in range(STEP - 1, -1, -1):
                better = past[i + k] >= value
                value = past[i + k] if better else value
                where = lag + (STEP - 1 - k) if better else where
            best[i], place[i] = value, where
    else:
        for i in range(best.size):
            better = past[i] >= best[i]
            best[i] = past[i] if better else best[i]
            place[i] = lag if better else place[i]
