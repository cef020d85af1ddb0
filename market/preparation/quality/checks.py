"""Checks as pure functions: arrays in, a mask of the places out. Unless said otherwise they are causal."""

import numpy as np
import pandas as pd

from market.arrays import BoolArray, DateArray, FloatArray, IntArray

MIN_LISTED = 5
ADDITIVE_BARS = 10
SMOOTH = 12.0  # times the usual daily amount: a price below zero that is this near to its neighbours is no slip
RECENT = 21
"""Closes before a bar that say what the asset usually costs."""
HIGHEST_QUOTE = 1e9
"""No share and no index is quoted beyond this in any currency; the limit of the first bar, which has no past."""


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


def extreme(prices: FloatArray, max_jump: float) -> BoolArray:
    """Returns the bars ``[rows, K]`` with a price over `max_jump` times another one."""
    top, bottom = np.fmax.reduce(prices, axis=1), np.fmin.reduce(prices, axis=1)
    wrong: BoolArray = (bottom > 0) & (top > max_jump * bottom)
    return wrong


def towering(prices: FloatArray, closes: FloatArray, max_price: float, max_jump: float) -> BoolArray:
    """Returns the bars of one asset, in time, whose highest price is beyond `max_price` and beyond the asset itself.

    A share of Seoul costs more than a million won on every day; one of 50 dollars that costs a million today is a
    mistake. So a price counts only where it is over `max_jump` times the median of the last `RECENT` closes.

    Args:
        prices: Highest price of every bar, ``[rows]``.
        closes: ``[rows]``.
        max_price: In currency units.
        max_jump: A ratio.
    """
    wrong = prices > max_price
    recent: list[float] = []
    for k, close in enumerate(closes):
        if wrong[k] and recent:
            wrong[k] = prices[k] > max_jump * float(np.median(recent[-RECENT:]))
        elif wrong[k]:
            wrong[k] = prices[k] > HIGHEST_QUOTE
        if not wrong[k] and np.isfinite(close):
            recent.append(float(close))
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


def additive(frame: pd.DataFrame) -> dict[str, str]:
    """Returns the symbols whose prices were adjusted by subtraction, and what shows it.

    A history that falls to zero and below over many bars is one, or that passes below zero in usual steps, be it for a
    single bar; so are adjusted closes that stay a fixed distance below the quoted ones, instead of a fixed ratio.
    Judged over the whole history: it is a fault of the file.
    """
    found: dict[str, str] = {}
    closes = frame["close"].to_numpy(dtype=np.float64, na_value=np.nan)
    symbols = frame["symbol"].to_numpy()
    below = pd.Series(closes <= 0).groupby(symbols).sum()
    for symbol, count in below[below >= ADDITIVE_BARS].items():
        found[str(symbol)] = f"{int(count)} closes at or below zero"
    for symbol in sorted(set(symbols[closes < 0]) - set(found), key=str):
        own = closes[symbols == symbol][np.argsort(frame["date"].to_numpy()[symbols == symbol], kind="stable")]
        if count := _below_in_usual_steps(own):
            found[str(symbol)] = f"{count} closes below zero, reached in usual steps"
    for name, told in (("adj_close", "adjusted closes"), ("pct_change", "stated changes")):
        if name not in frame.columns:
            continue
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        order = np.lexsort((frame["date"].to_numpy(), symbols.astype(str)))
        for rows in np.split(order, np.flatnonzero(symbols[order][1:] != symbols[order][:-1]) + 1):
            wrong = _shifted(closes[rows], values[rows]) if name == "adj_close" else _denied(closes[rows], values[rows])
            if wrong:
                found.setdefault(str(symbols[rows[0]]), f"{told} that are no ratio of the closes on {wrong} days")
    return found


def _below_in_usual_steps(close: FloatArray) -> int:
    """Returns how many closes are below zero though they lie no further from their neighbours than closes do."""
    known = close[np.isfinite(close)]
    steps = np.abs(np.diff(known))
    if len(steps) < ADDITIVE_BARS:
        return 0
    usual = SMOOTH * float(np.median(steps))
    before, after = np.append(0.0, steps), np.append(steps, 0.0)
    return int(((known < 0) & (before <= usual) & (after <= usual)).sum())


def _shifted(close: FloatArray, adjusted: FloatArray) -> int:
    """Returns on how many days the adjusted close moved by the same amount as the close; 0 where ratios explain more.

    Only days count on which the two explanations differ: the levels are apart, and the price moved.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.diff(np.log(close))
        ratio = np.abs(np.diff(np.log(adjusted)) - moved)
        amount = np.abs(np.diff(adjusted) - np.diff(close)) / np.abs(np.diff(close))
    apart = np.abs(adjusted[1:] / close[1:] - 1) > 0.05
    decisive = apart & (np.abs(moved) > 0.005) & np.isfinite(ratio) & np.isfinite(amount)
    shifted = decisive & (amount < 0.03) & (ratio > 0.03 * np.abs(moved))
    return int(shifted.sum()) if shifted.sum() >= max(ADDITIVE_BARS, 0.8 * decisive.sum()) else 0


def _denied(close: FloatArray, stated: FloatArray) -> int:
    """Returns on how many days the closes moved otherwise than the vendor states in percent; 0 where it is no rule."""
    moved = 100 * (close[1:] / close[:-1] - 1)
    known = np.isfinite(moved) & np.isfinite(stated[1:]) & (np.abs(stated[1:]) > 0.5)
    wrong = known & (np.abs(moved - stated[1:]) > 0.05 * np.abs(stated[1:]) + 0.05)
    return int(wrong.sum()) if wrong.sum() >= max(ADDITIVE_BARS, 0.2 * known.sum()) else 0
