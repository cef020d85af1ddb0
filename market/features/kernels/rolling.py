"""Rolling statistics on ``[n, T]`` blocks of series (time last, contiguous), compiled.

Every value is computed directly from the rows of its own window, never from a running state, so it is exactly the same
in a shorter panel, in any block and on any thread, and an absurd price of long ago leaves no trace. One sweep over the
lags 0, 1, 2, ... serves all windows at once: the sums of a window of 5 are those of a window of 60 on the way.
Deviations are taken from the last valid value of the window, which bounds the error: with ``n`` values the sum of
squares is at most ``1 + n`` times the sum of squares about the mean, so no more than two digits of double precision can
cancel.

Missing values are NaN; infinities must have been turned into NaN before. ``windows`` must increase. Results are written
to ``out [S, W, n, T]``: statistic, window, series, day.
"""

import numpy as np
from numba import njit

from market.arrays import FloatArray, IntArray
from market.features.kernels import moments as from_sums
from market.features.kernels.lags import (
    STEP,
    add,
    add_below,
    add_deviation,
    add_lagged_deviation,
    add_product,
    filled,
    keep_highest,
    padded,
)

LOOPS = 2  # edition of the modules lags and moments; only a change here makes numba compile them anew
CHUNK = 512  # days whose accumulators stay in the first-level cache while the lags sweep over them

SUM, MEAN = 0, 1
VAR, STD, SLOPE, RSQUARE, RESIDUAL = 0, 1, 2, 3, 4
HIGHEST, ARGMAX = 0, 1
COV, CORR = 0, 1


@njit(cache=True, nogil=True, error_model="numpy")
def sums(x: FloatArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes the sum or the mean of the valid values; NaN where there is none."""
    days = x.shape[1]
    pad = min(windows[-1], days)
    total, n = np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted = _counts(x[a], pad)
        row = filled(x[a], pad)
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            size = last - first
            total[:] = 0.0
            lag = 0
            for j in range(windows.size):
                reach = min(windows[j], last)
                while lag < reach:
                    steps = STEP if lag + STEP <= reach else 1
                    add(total[:size], row[pad + first - lag - steps + 1 : pad + last - lag], steps)
                    lag += steps
                _difference(counted, first, min(windows[j], pad), pad, n[:size])
                for s in range(statistics.size):
                    if statistics[s] == MEAN:
                        from_sums.mean(n, total, out[s, j, a, first:last])
                    else:
                        from_sums.total(n, total, out[s, j, a, first:last])


@njit(cache=True, nogil=True, error_model="numpy")
def moments(x: FloatArray, windows: IntArray, statistics: IntArray, trend: bool, out: FloatArray) -> None:
    """Writes variance and standard deviation (n - 1), and with `trend` the least-squares line over time.

    Slope is per day; residual is the last value less the line; rsquare is NaN where all values are equal.
    """
    days = x.shape[1]
    pad = min(windows[-1], days)
    s1, s2, sk = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    n, k1, k2 = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted = _counts(x[a], pad)
        day_sum, day_squares = _day_sums(x[a], pad) if trend else (counted, counted)
        row, valid = padded(x[a], pad), _last_valid(x[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            here, ref = slice(0, last - first), valid[first:last]
            s1[:], s2[:], sk[:] = 0.0, 0.0, 0.0
            lag = 0
            for j in range(windows.size):
                reach = min(windows[j], last)
                while lag < reach:
                    steps = STEP if lag + STEP <= reach else 1
                    past = row[pad + first - lag - steps + 1 : pad + last - lag]
                    add_deviation(s1[here], s2[here], past, ref, steps)
                    if trend:
                        add_lagged_deviation(sk[here], past, ref, float(lag), steps)
                    lag += steps
                _difference(counted, first, min(windows[j], pad), pad, n[here])
                if trend:
                    _difference(day_sum, first, min(windows[j], pad), pad, k1[here])
                    _difference(day_squares, first, min(windows[j], pad), pad, k2[here])
                    _days_to_lags(first, n[here], k1[here], k2[here])
                for s in range(statistics.size):
                    result = out[s, j, a, first:last]
                    if statistics[s] == VAR:
                        from_sums.variance(n, s1, s2, result)
                    elif statistics[s] == STD:
                        from_sums.deviation(n, s1, s2, result)
                    elif statistics[s] == SLOPE:
                        from_sums.slope(n, k1, k2, s1, sk, result)
                    elif statistics[s] == RSQUARE:
                        from_sums.rsquare(n, k1, k2, s1, s2, sk, result)
                    else:
                        from_sums.residual(n, k1, k2, s1, sk, x[a, first:last], result)


@njit(cache=True, nogil=True, error_model="numpy")
def pairs(x: FloatArray, y: FloatArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes covariance (n - 1) and correlation; both series must be NaN on the same days."""
    days = x.shape[1]
    pad = min(windows[-1], days)
    sx, sy, sxx, syy, sxy = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    n = np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted = _counts(x[a], pad)
        row_x, valid_x, row_y, valid_y = padded(x[a], pad), _last_valid(x[a]), padded(y[a], pad), _last_valid(y[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            here, ref_x, ref_y = slice(0, last - first), valid_x[first:last], valid_y[first:last]
            sx[:], sy[:], sxx[:], syy[:], sxy[:] = 0.0, 0.0, 0.0, 0.0, 0.0
            lag = 0
            for j in range(windows.size):
                reach = min(windows[j], last)
                while lag < reach:
                    steps = STEP if lag + STEP <= reach else 1
                    when = slice(pad + first - lag - steps + 1, pad + last - lag)
                    add_deviation(sx[here], sxx[here], row_x[when], ref_x, steps)
                    add_deviation(sy[here], syy[here], row_y[when], ref_y, steps)
                    add_product(sxy[here], row_x[when], ref_x, row_y[when], ref_y, steps)
                    lag += steps
                _difference(counted, first, min(windows[j], pad), pad, n[here])
                for s in range(statistics.size):
                    if statistics[s] == COV:
                        from_sums.covariance(n, sx, sy, sxy, out[s, j, a, first:last])
                    else:
                        from_sums.correlation(n, sx, sy, sxx, syy, sxy, out[s, j, a, first:last])


@njit(cache=True, nogil=True, error_model="numpy")
def extremes(x: FloatArray, start: IntArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes the highest value, or its place: 1 for the first day of the window, the earliest day on a tie.

    A window begins no earlier than row `start` of its series; days without a value are counted as days.
    """
    days = x.shape[1]
    pad = min(windows[-1], days)
    best, place = np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        row = padded(x[a], pad)
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            here = slice(0, last - first)
            best[:], place[:] = -np.inf, 0.0
            lag = 0
            for j in range(windows.size):
                reach = min(windows[j], last)
                while lag < reach:
                    steps = STEP if lag + STEP <= reach else 1
                    past = row[pad + first - lag - steps + 1 : pad + last - lag]
                    keep_highest(best[here], place[here], past, float(lag), steps)
                    lag += steps
                for s in range(statistics.size):
                    result = out[s, j, a, first:last]
                    if statistics[s] == ARGMAX:
                        _lag_to_place(best, place, first - start[a], windows[j], result)
                    else:
                        for i in range(result.size):
                            result[i] = best[i] if best[i] > -np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def ranks(x: FloatArray, windows: IntArray, out: FloatArray) -> None:
    """Writes the average rank of the last value among the valid ones, as a share in (0, 1]; NaN where it is missing."""
    days = x.shape[1]
    pad = min(windows[-1], days)
    below, n = np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted = _counts(x[a], pad)
        row = padded(x[a], pad)
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            now = x[a, first:last]
            below[:] = 0.0
            lag = 0
            for j in range(windows.size):
                reach = min(windows[j], last)
                while lag < reach:
                    steps = STEP if lag + STEP <= reach else 1
                    add_below(below[: now.size], row[pad + first - lag - steps + 1 : pad + last - lag], now, steps)
                    lag += steps
                _difference(counted, first, min(windows[j], pad), pad, n[: now.size])
                for i in range(now.size):
                    share = (below[i] + 1.0) / (2.0 * n[i])
                    out[0, j, a, first + i] = share if now[i] == now[i] else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def quantiles(x: FloatArray, windows: IntArray, levels: FloatArray, out: FloatArray) -> None:
    """Writes quantiles of the valid values, interpolated linearly; NaN where there is none."""
    for a in range(x.shape[0]):
        for j in range(windows.size):
            window = windows[j]
            ordered, following, n = np.full(window + 2, np.inf), np.full(window + 2, np.inf), 0
            ordered[0] = following[0] = -np.inf
            for t in range(x.shape[1]):
                new = x[a, t]
                old = x[a, t - window] if t >= window else np.nan
                n += (new == new) - (old == old)
                _exchange(ordered, following, old, new)
                ordered, following = following, ordered
                for s in range(levels.size):
                    place = levels[s] * (n - 1)
                    low = int(place)
                    high = min(low + 1, n - 1)
                    least, most = ordered[1 + low], ordered[1 + high]
                    out[s, j, a, t] = least + (most - least) * (place - low) if n > 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def decayed_means(x: FloatArray, windows: IntArray, out: FloatArray) -> None:
    """Writes the mean with weights that fall by ``1 - 2 / (window + 1)`` a day, over the whole past."""
    for a in range(x.shape[0]):
        for j in range(windows.size):
            decay = 1.0 - 2.0 / (windows[j] + 1.0)
            mean, weight = np.nan, 0.0
            for t in range(x.shape[1]):
                weight *= decay
                if x[a, t] == x[a, t]:
                    mean = (weight * mean + x[a, t]) / (weight + 1.0) if weight > 0.0 else x[a, t]
                    weight += 1.0
                out[0, j, a, t] = mean


@njit(cache=True, nogil=True, error_model="numpy")
def _counts(x: FloatArray, pad: int) -> IntArray:
    # The number of valid days before each day, from `pad` days before the first.
    counted = np.zeros(pad + x.size + 1, np.int64)
    for t in range(x.size):
        counted[pad + t + 1] = counted[pad + t] + (x[t] == x[t])
    return counted


@njit(cache=True, nogil=True, error_model="numpy")
def _day_sums(x: FloatArray, pad: int) -> tuple[IntArray, IntArray]:
    # Of the same days, the sums of their indices and of the squares; integers, so their differences are exact.
    day_sum, day_squares = np.zeros(pad + x.size + 1, np.int64), np.zeros(pad + x.size + 1, np.int64)
    for t in range(x.size):
        valid = 1 if x[t] == x[t] else 0
        day_sum[pad + t + 1] = day_sum[pad + t] + valid * t
        day_squares[pad + t + 1] = day_squares[pad + t] + valid * t * t
    return day_sum, day_squares


@njit(cache=True, nogil=True, error_model="numpy")
def _difference(counts: IntArray, first: int, window: int, pad: int, out: FloatArray) -> None:
    # Writes what the windows that end on the days from `first` on hold.
    ends = counts[pad + first + 1 : pad + first + 1 + out.size]
    begins = counts[pad + first + 1 - window : pad + first + 1 - window + out.size]
    for i in range(out.size):
        out[i] = ends[i] - begins[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _days_to_lags(first: int, n: FloatArray, k1: FloatArray, k2: FloatArray) -> None:
    # Turns the sums of day and of its square into those of the lag; whole numbers below 2^53, so exact.
    for i in range(n.size):
        day = float(first + i)
        k2[i] += day * (n[i] * day - 2.0 * k1[i])
        k1[i] = n[i] * day - k1[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _last_valid(x: FloatArray) -> FloatArray:
    filled = np.empty_like(x)
    value = 0.0
    for t in range(x.size):
        if x[t] == x[t]:
            value = x[t]
        filled[t] = value
    return filled


@njit(cache=True, nogil=True, error_model="numpy")
def _lag_to_place(best: FloatArray, lag: FloatArray, age: int, window: int, out: FloatArray) -> None:
    # Writes the place in the window of what lies `lag` days back; the first day is the series' day `age`.
    for i in range(out.size):
        length = min(window, age + i + 1)
        out[i] = length - lag[i] if best[i] > -np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(ordered: FloatArray, following: FloatArray, old: float, new: float) -> None:
    # Writes the rising values of `ordered`, between -inf and as many +inf as there is room, without `old` and with
    # `new`; NaN is none. Without branches: a sorted row takes in a value where it lies between its neighbours.
    leaving, coming = old if old == old else np.inf, new if new == new else np.inf
    for i in range(1, ordered.size - 1):
        left = ordered[i - 1] if ordered[i - 1] < leaving else ordered[i]
        here = ordered[i] if ordered[i] < leaving else ordered[i + 1]
        here = here if here < coming else coming
        following[i] = here if here > left else left
