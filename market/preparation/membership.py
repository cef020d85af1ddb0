"""Who belongs to the market, and what can be traded, as it was known on each day."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from market.arrays import BoolArray, DateArray, FloatArray
from market.panel import Panel

FIRST_DAY, LAST_DAY = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")


class PriceLimits(NamedTuple):
    """Where prices stand at their daily limits, ``[T, N]`` each: at `up` nobody sells, at `down` nobody buys."""

    up: BoolArray
    down: BoolArray


def with_membership(panel: Panel, intervals: pd.DataFrame) -> Panel:
    """Returns the panel with assets listed only while they are members, of an index for example.

    An asset may join and leave several times. Bars outside its membership stay in the values, so features have their
    history from before it joined. Assets without an interval are never listed; intervals of other symbols are ignored.

    Args:
        panel: Any panel.
        intervals: Rows of ``symbol, start, end``, both days included; an empty start or end means always.

    Raises:
        ValueError: A column is missing, an interval ends before it starts, or no symbol is an asset of the panel.
    """
    for name in ("symbol", "start", "end"):
        if name not in intervals.columns:
            raise ValueError(f"membership: no column '{name}' among {list(map(str, intervals.columns))}; rename it")
    starts = _days(intervals["start"], FIRST_DAY)
    ends = _days(intervals["end"], LAST_DAY)
    symbols = intervals["symbol"].astype(str).to_numpy()
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        k = wrong[0]
        raise ValueError(
            f"membership: {symbols[k]} ends on {ends[k]}, before it starts on {starts[k]}; correct the row"
        )
    if not set(symbols) & set(panel.assets):
        raise ValueError(
            f"membership: none of its symbols ({', '.join(symbols[:3])}, ...) is an asset of the panel "
            f"({', '.join(panel.assets[:3])}, ...); spell them alike"
        )
    column = {name: n for n, name in enumerate(panel.assets)}
    member = np.zeros(panel.listed.shape, dtype=np.bool_)
    first, stop = np.searchsorted(panel.dates, starts), np.searchsorted(panel.dates, ends, side="right")
    for symbol, begin, end in zip(symbols, first, stop, strict=True):
        if symbol in column:
            member[begin:end, column[symbol]] = True
    return _narrowed(panel, member)


def with_halts(panel: Panel, halted: BoolArray) -> Panel:
    """Returns the panel with nothing to trade where `halted` ``[T, N]`` is true; what is listed stays listed.

    For a vendor's status field: ``with_halts(panel, panel["trade_status"] == 0)``.
    """
    if halted.shape != panel.tradable.shape:
        raise ValueError(f"halts: shape {halted.shape}, expected {panel.tradable.shape} days and assets")
    return replace(panel, tradable=panel.tradable & ~halted)


def with_minimum_history(panel: Panel, days: int) -> Panel:
    """Returns the panel with an asset listed only once it has `days` closes, today's included."""
    if days < 1:
        raise ValueError(f"history: days is {days}, expected at least 1")
    return _narrowed(panel, np.isfinite(panel["close"]).cumsum(axis=0) >= days)


def price_limits(
    panel: Panel, rate: float | FloatArray = 0.1, price: str = "close", tolerance: float = 0.002
) -> PriceLimits:
    """Returns where a price is at its limit against the last close before the day.

    Args:
        panel: Prices, adjusted so that days without a dividend and ex-dividend days compare alike.
        rate: Limit as a fraction, one for all or ``[T, N]``, for example
            ``np.where(panel["is_st"] == 1, 0.05, 0.1)`` for the mainland Chinese main boards.
        price: Which price: ``close``, or ``open`` to know what could be traded at the open.
        tolerance: How far below the limit still counts as at it, since limit prices are rounded to ticks.

    Row ``t`` uses rows ``<= t``. Where either price is unknown neither limit holds.
    """
    closes = pd.DataFrame(panel["close"])
    before = closes.where(closes > 0).ffill().shift(1).to_numpy()
    move = panel[price] / before - 1
    return PriceLimits(up=move >= np.asarray(rate) - tolerance, down=move <= tolerance - np.asarray(rate))


def _narrowed(panel: Panel, mask: BoolArray) -> Panel:
    return replace(panel, listed=panel.listed & mask, tradable=panel.tradable & mask)


def _days(column: "pd.Series[Any]", missing: np.datetime64) -> DateArray:
    try:
        stamps = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise ValueError(f"membership: column '{column.name}' holds something that is not a date ({error})") from None
    return np.where(stamps.isna(), missing, stamps.to_numpy().astype("datetime64[D]"))
