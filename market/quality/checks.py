"""Checks as pure functions: arrays in, a mask of the places out. Unless said otherwise they are causal."""

import numpy as np

from market.arrays import AnyArray, BoolArray, DateArray, FloatArray, IntArray

SPLIT_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
"""New shares for one old share; their inverses are reverse splits."""

EVIDENCE_DAYS = 20
CALM = 8.0
"""A split stands out by this many standard deviations of the daily moves before it; a crash comes in wild times."""

MIN_LISTED = 5


def weekend(dates: DateArray) -> BoolArray:
    """Returns the rows on a Saturday or Sunday."""
    result: BoolArray = ~np.is_busday(dates.astype("datetime64[D]"))
    return result


def impossible(prices: FloatArray, tolerance: float) -> BoolArray:
    """Returns the bars ``[rows, 4]`` (open, high, low, close) whose high is below or low above another price."""
    open_, high, low, close = prices.T
    slack = tolerance * np.abs(close)
    wrong: BoolArray = (high < np.maximum(np.maximum(open_, close), low) - slack) | (
        low > np.minimum(open_, close) + slack
    )
    return wrong


def extreme(prices: FloatArray, max_price: float, max_jump: float) -> BoolArray:
    """Returns the bars ``[rows, K]`` with a price above `max_price` or over `max_jump` times another one."""
    top, bottom = np.fmax.reduce(prices, axis=1), np.fmin.reduce(prices, axis=1)
    wrong: BoolArray = (top > max_price) | ((bottom > 0) & (top > max_jump * bottom))
    return wrong


def holiday(observed: BoolArray, listed: BoolArray, min_share: float) -> BoolArray:
    """Returns the days ``[T]`` on which nobody, or only a few of the listed assets, have a bar."""
    bars, members = observed.sum(axis=1), listed.sum(axis=1)
    closed: BoolArray = (bars == 0) | ((members >= MIN_LISTED) & (bars < min_share * members))
    return closed


def previous_row(observed: BoolArray) -> IntArray:
    """Returns the row of the last bar before day t, ``[T, N]``, or -1."""
    days = np.arange(len(observed))[:, None]
    last = np.maximum.accumulate(np.where(observed, days, -1), axis=0)
    return np.concatenate([np.full((1, observed.shape[1]), -1), last[:-1]])


def take_previous(values: FloatArray, previous: IntArray) -> FloatArray:
    """Returns the values ``[T, N]`` of the rows that `previous_row` names, NaN where there is none."""
    taken = np.take_along_axis(values, np.maximum(previous, 0), axis=0)
    return np.where(previous >= 0, taken, np.nan)


def jumps(close: FloatArray, max_jump: float, confirm_days: int) -> BoolArray:
    """Returns the closes ``[T, N]`` too far from the last plausible one.

    A close is plausible within a factor of `max_jump` of the last plausible one. After `confirm_days` implausible days
    that agree with one another the new level is believed, so a lasting change is masked for that long and no longer.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(close)
    limit = np.log(max_jump)
    accepted = np.full(close.shape[1], np.nan)
    before = np.full(close.shape[1], np.nan)
    run = np.zeros(close.shape[1], np.int64)
    flagged = np.zeros(close.shape, np.bool_)
    for t, now in enumerate(logs):
        seen = np.isfinite(now)
        near = ~(np.abs(now - accepted) > limit)
        agrees = ~(np.abs(now - before) > limit)
        run = np.where(seen, np.where(near, 0, np.where(agrees & (run > 0), run + 1, 1)), run)
        flagged[t] = seen & (run > 0) & (run <= confirm_days)
        accepted = np.where(seen & ~flagged[t], now, accepted)
        run = np.where(run > confirm_days, 0, run)
        before = np.where(seen, now, before)
    return flagged


def stale_run(bars: FloatArray, volume: FloatArray | None, observed: BoolArray) -> IntArray:
    """Returns for how many bars nothing has moved, ``[T, N]``; 0 where something did or there is no bar.

    Args:
        bars: ``[K, T, N]``, the close last.
        volume: ``[T, N]``, or None.
        observed: ``[T, N]``.
    """
    previous = previous_row(observed)
    equal = np.stack([values == take_previous(values, previous) for values in bars])
    still = equal.all(axis=0)
    if volume is not None:
        still |= equal[-1] & (volume == 0)
    still &= observed
    days = np.arange(len(observed))[:, None]
    moved = np.maximum.accumulate(np.where(observed & ~still, days, -1), axis=0)
    total = np.cumsum(still, axis=0)
    start = np.where(moved >= 0, np.take_along_axis(total, np.maximum(moved, 0), axis=0), 0)
    return np.where(still, total - start, 0).astype(np.int64)


def gap_lengths(observed: BoolArray) -> IntArray:
    """Returns, at the first bar after each gap, how many days had none, ``[T, N]``; 0 elsewhere."""
    previous = previous_row(observed)
    days = np.arange(len(observed))[:, None]
    return np.where(observed & (previous >= 0), days - previous - 1, 0)


def split_ratios(
    close: FloatArray, open_: FloatArray | None, adjusted: FloatArray | None, tolerance: float
) -> FloatArray:
    """Returns new shares per old share where the price moved overnight as if by a split, ``[T, N]``; 1 elsewhere.

    The open (the close where there are no opens) lies within `tolerance` of the previous close over the ratio, the
    close within three times that. A move that adjusted closes did not follow is explained by them and is none.
    """
    previous = previous_row(np.isfinite(close))
    before = take_previous(close, previous)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.log(before / close)
        overnight = move if open_ is None else np.log(before / open_)
        followed = None if adjusted is None else np.log(take_previous(adjusted, previous) / adjusted)
    ratios = np.array([*SPLIT_RATIOS, *(1 / ratio for ratio in SPLIT_RATIOS)])
    found = np.ones(close.shape)
    large = np.abs(overnight) > np.log(SPLIT_RATIOS[0]) - 2 * tolerance
    for day, asset in np.argwhere(large):
        distance = np.abs(overnight[day, asset] - np.log(ratios))
        best = int(distance.argmin())
        fits = distance[best] <= np.log1p(tolerance)
        fits &= abs(move[day, asset] - np.log(ratios[best])) <= np.log1p(3 * tolerance)
        if followed is not None and np.isfinite(followed[day, asset]):
            fits &= abs(followed[day, asset]) > 0.5 * abs(np.log(ratios[best]))
        if fits:
            found[day, asset] = ratios[best]
    return found


def volume_confirms(volume: AnyArray, day: int, ratio: float) -> bool:
    """Returns whether the volume ``[T]`` of `day` has moved by about `ratio` against the days before it."""
    past = volume[max(0, day - EVIDENCE_DAYS) : day]
    past = past[np.isfinite(past) & (past > 0)]
    if len(past) < EVIDENCE_DAYS // 4 or not volume[day] > 0:
        return False
    move, expected = np.log(volume[day] / np.median(past)), np.log(ratio)
    return bool(abs(move - expected) < abs(move) and abs(move - expected) < np.log(3.0))


def outstanding(close: AnyArray, ratio: float) -> bool:
    """Returns whether a move by `ratio` on the last day of ``[T]`` dwarfs the daily moves before it."""
    past = close[:-1]
    past = past[np.isfinite(past) & (past > 0)][-EVIDENCE_DAYS - 1 :]
    if len(past) < EVIDENCE_DAYS // 4:
        return False
    return bool(abs(np.log(ratio)) > CALM * np.diff(np.log(past)).std())
