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

import math

import numpy as np
from numba import njit

from market.arrays import BoolArray, FeatureArray, FloatArray, IntArray

CHUNK = 512  # days whose accumulators stay in the first-level cache while the lags sweep over them
TILE = 16

SUM, MEAN = 0, 1
VAR, STD, SLOPE, RSQUARE, RESIDUAL = 0, 1, 2, 3, 4
HIGHEST, ARGMAX = 0, 1
COV, CORR = 0, 1


@njit(cache=True, nogil=True, error_model="numpy")
def sums(x: FloatArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes the sum or the mean of the valid values; NaN where there is none."""
    days = x.shape[1]
    total = np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted, _, _ = _counts(x[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            total[:] = 0.0
            lag = 0
            for j in range(windows.size):
                while lag < windows[j]:
                    low = max(first, lag)
                    if low < last:
                        _add(total[low - first : last - first], x[a, low - lag : last - lag])
                    lag += 1
                for s in range(statistics.size):
                    for t in range(first, last):
                        n = counted[t + 1] - counted[max(t + 1 - windows[j], 0)]
                        value = total[t - first] if n > 0 else np.nan
                        out[s, j, a, t] = value / n if statistics[s] == MEAN else value


@njit(cache=True, nogil=True, error_model="numpy")
def moments(x: FloatArray, windows: IntArray, statistics: IntArray, trend: bool, out: FloatArray) -> None:
    """Writes variance and standard deviation (n - 1), and with `trend` the least-squares line over time.

    Slope is per day; residual is the last value less the line; rsquare is NaN where all values are equal.
    """
    days = x.shape[1]
    s1, s2, sk = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted, day_sum, day_squares = _counts(x[a])
        last_valid = _last_valid(x[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            s1[:], s2[:], sk[:] = 0.0, 0.0, 0.0
            lag = 0
            for j in range(windows.size):
                while lag < windows[j]:
                    low = max(first, lag)
                    if low < last:
                        here = slice(low - first, last - first)
                        past, ref = x[a, low - lag : last - lag], last_valid[low:last]
                        _add_deviation(s1[here], past, ref, 1.0)
                        _add_product(s2[here], past, ref, past, ref)
                        if trend:
                            _add_deviation(sk[here], past, ref, float(lag))
                    lag += 1
                for t in range(first, last):
                    begin, i = max(t + 1 - windows[j], 0), t - first
                    n = float(counted[t + 1] - counted[begin])
                    days_1 = float(day_sum[t + 1] - day_sum[begin])
                    days_2 = float(day_squares[t + 1] - day_squares[begin])
                    k1 = n * t - days_1  # sums of the lag and of its square over the valid days, exact integers
                    k2 = n * t * t - 2.0 * t * days_1 + days_2
                    for s in range(statistics.size):
                        missing = 0.0 if x[a, t] == x[a, t] else np.nan
                        out[s, j, a, t] = _moment(statistics[s], n, k1, k2, s1[i], s2[i], sk[i], missing)


@njit(cache=True, nogil=True, error_model="numpy")
def pairs(x: FloatArray, y: FloatArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes covariance (n - 1) and correlation; both series must be NaN on the same days."""
    days = x.shape[1]
    sx, sy, sxx, syy, sxy = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted, _, _ = _counts(x[a])
        last_x, last_y = _last_valid(x[a]), _last_valid(y[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            sx[:], sy[:], sxx[:], syy[:], sxy[:] = 0.0, 0.0, 0.0, 0.0, 0.0
            lag = 0
            for j in range(windows.size):
                while lag < windows[j]:
                    low = max(first, lag)
                    if low < last:
                        here = slice(low - first, last - first)
                        past_x, ref_x = x[a, low - lag : last - lag], last_x[low:last]
                        past_y, ref_y = y[a, low - lag : last - lag], last_y[low:last]
                        _add_deviation(sx[here], past_x, ref_x, 1.0)
                        _add_deviation(sy[here], past_y, ref_y, 1.0)
                        _add_product(sxx[here], past_x, ref_x, past_x, ref_x)
                        _add_product(syy[here], past_y, ref_y, past_y, ref_y)
                        _add_product(sxy[here], past_x, ref_x, past_y, ref_y)
                    lag += 1
                for t in range(first, last):
                    i = t - first
                    n = float(counted[t + 1] - counted[max(t + 1 - windows[j], 0)])
                    for s in range(statistics.size):
                        out[s, j, a, t] = _pair(statistics[s], n, sx[i], sy[i], sxx[i], syy[i], sxy[i])


@njit(cache=True, nogil=True, error_model="numpy")
def extremes(x: FloatArray, start: IntArray, windows: IntArray, statistics: IntArray, out: FloatArray) -> None:
    """Writes the highest value, or its place: 1 for the first day of the window, the earliest day on a tie.

    A window begins no earlier than row `start` of its series; days without a value are counted as days.
    """
    days = x.shape[1]
    best, place = np.empty(CHUNK), np.empty(CHUNK)
    for a in range(x.shape[0]):
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            best[:], place[:] = -np.inf, 0.0
            lag = 0
            for j in range(windows.size):
                while lag < windows[j]:
                    low = max(first, lag)
                    if low < last:
                        here = slice(low - first, last - first)
                        _keep_highest(best[here], place[here], x[a, low - lag : last - lag], float(lag))
                    lag += 1
                for t in range(first, last):
                    found = best[t - first] > -np.inf
                    length = min(windows[j], t + 1 - start[a])
                    for s in range(statistics.size):
                        value = length - place[t - first] if statistics[s] == ARGMAX else best[t - first]
                        out[s, j, a, t] = value if found else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def ranks(x: FloatArray, windows: IntArray, out: FloatArray) -> None:
    """Writes the average rank of the last value among the valid ones, as a share in (0, 1]; NaN where it is missing."""
    days = x.shape[1]
    below = np.empty(CHUNK)
    for a in range(x.shape[0]):
        counted, _, _ = _counts(x[a])
        for first in range(0, days, CHUNK):
            last = min(first + CHUNK, days)
            below[:] = 0.0
            lag = 0
            for j in range(windows.size):
                while lag < windows[j]:
                    low = max(first, lag)
                    if low < last:
                        _count_below(below[low - first : last - first], x[a, low - lag : last - lag], x[a, low:last])
                    lag += 1
                for t in range(first, last):
                    n = counted[t + 1] - counted[max(t + 1 - windows[j], 0)]
                    share = (below[t - first] + 1.0) / (2.0 * n)
                    out[0, j, a, t] = share if x[a, t] == x[a, t] else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def quantiles(x: FloatArray, windows: IntArray, levels: FloatArray, out: FloatArray) -> None:
    """Writes quantiles of the valid values, interpolated linearly; NaN where there is none."""
    for a in range(x.shape[0]):
        for j in range(windows.size):
            window = windows[j]
            ordered, n = np.empty(window), 0
            for t in range(x.shape[1]):
                new = x[a, t]
                old = x[a, t - window] if t >= window else np.nan
                n = _exchange(ordered, n, old, new)
                for s in range(levels.size):
                    place = levels[s] * (n - 1)
                    low = int(place)
                    high = min(low + 1, n - 1)
                    value = ordered[low] + (ordered[high] - ordered[low]) * (place - low) if n > 0 else np.nan
                    out[s, j, a, t] = value


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
def scatter(block: FeatureArray, listed: BoolArray, asset: int, out: FeatureArray) -> None:
    """Writes ``block [n, F, T]`` to the assets from `asset` on of ``out [T, N, F]``; NaN where unlisted or infinite."""
    assets, features, days = block.shape
    tile = np.empty((TILE, features), np.float32)  # days whose features are turned round within the cache
    for a in range(assets):
        for first in range(0, days, TILE):
            last = min(first + TILE, days)
            for f in range(features):
                for t in range(first, last):
                    tile[t - first, f] = block[a, f, t]
            for t in range(first, last):
                largest = np.float32(np.inf if listed[t, asset + a] else -1.0)
                for f in range(features):
                    value = tile[t - first, f]
                    out[t, asset + a, f] = value if abs(value) < largest else np.float32(np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _counts(x: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    # Before each day: the number of valid days, the sum of their indices and of the squares; integers, so exact.
    days = x.size
    counted = np.zeros(days + 1, np.int64)
    day_sum = np.zeros(days + 1, np.int64)
    day_squares = np.zeros(days + 1, np.int64)
    for t in range(days):
        valid = 1 if x[t] == x[t] else 0
        counted[t + 1] = counted[t] + valid
        day_sum[t + 1] = day_sum[t] + valid * t
        day_squares[t + 1] = day_squares[t] + valid * t * t
    return counted, day_sum, day_squares


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
def _add(total: FloatArray, past: FloatArray) -> None:
    for i in range(total.size):
        total[i] += past[i] if past[i] == past[i] else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_deviation(total: FloatArray, past: FloatArray, ref: FloatArray, factor: float) -> None:
    for i in range(total.size):
        deviation = past[i] - ref[i]
        total[i] += factor * deviation if deviation == deviation else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_product(
    total: FloatArray, past_x: FloatArray, ref_x: FloatArray, past_y: FloatArray, ref_y: FloatArray
) -> None:
    for i in range(total.size):
        product = (past_x[i] - ref_x[i]) * (past_y[i] - ref_y[i])
        total[i] += product if product == product else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_highest(best: FloatArray, place: FloatArray, past: FloatArray, lag: float) -> None:
    for i in range(best.size):
        better = past[i] >= best[i]  # on a tie the earlier day wins, as in numpy.argmax
        best[i] = past[i] if better else best[i]
        place[i] = lag if better else place[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _count_below(total: FloatArray, past: FloatArray, now: FloatArray) -> None:
    for i in range(total.size):
        total[i] += (2.0 if past[i] < now[i] else 0.0) + (1.0 if past[i] == now[i] else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _moment(statistic: int, n: float, k1: float, k2: float, s1: float, s2: float, sk: float, missing: float) -> float:
    if n < 2:
        return math.nan
    squares = max(s2 - s1 * s1 / n, 0.0)
    if statistic == VAR:
        return squares / (n - 1)
    if statistic == STD:
        return math.sqrt(squares / (n - 1))
    lag_squares = (n * k2 - k1 * k1) / n
    products = sk - k1 * s1 / n
    if statistic == RSQUARE:
        return min(products / squares * (products / lag_squares), 1.0) if squares > 0.0 else math.nan
    slope = -products / lag_squares
    if statistic == SLOPE:
        return slope
    return missing - (s1 + slope * k1) / n


@njit(cache=True, nogil=True, error_model="numpy")
def _pair(statistic: int, n: float, sx: float, sy: float, sxx: float, syy: float, sxy: float) -> float:
    if n < 2:
        return math.nan
    products = sxy - sx * sy / n
    if statistic == COV:
        return products / (n - 1)
    squares_x, squares_y = sxx - sx * sx / n, syy - sy * sy / n
    if squares_x <= 0.0 or squares_y <= 0.0:
        return math.nan
    return max(min(products / math.sqrt(squares_x) / math.sqrt(squares_y), 1.0), -1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(ordered: FloatArray, n: int, old: float, new: float) -> int:
    # Takes `old` out of the n ordered values and puts `new` in, unless NaN; returns how many there are then.
    if old == old:
        place = _place(ordered, n, old)
        n -= 1
    else:
        place = n
    if new != new:
        for i in range(place, n):
            ordered[i] = ordered[i + 1]
        return n
    while place < n and ordered[place + 1] < new:
        ordered[place] = ordered[place + 1]
        place += 1
    while place > 0 and ordered[place - 1] > new:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place] = new
    return n + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _place(ordered: FloatArray, n: int, value: float) -> int:
    place = 0
    for i in range(n):
        place += 1 if ordered[i] < value else 0
    return place
