"""Rebalancing: the days on which an account may trade; in between it drifts."""

from typing import Literal

import numpy as np

from market.arrays import BoolArray, DateArray
from market.calendar import week_start, weekdays

Rebalance = int | Literal["W", "M"]
"""Every so many days counted from the tape's first, or the first day of each calendar week or month."""


def trading_days(dates: DateArray, rebalance: Rebalance) -> BoolArray:
    """Returns ``[T]``, true where a decision after the close may trade.

    A day is the first of its week or month where the day before it lies in another one, which is known on the day.
    Weeks begin where the market's own do: on Mondays, and on Sundays where it trades from Sunday to Thursday.

    Raises:
        ValueError: `rebalance` is neither a positive number nor ``W`` or ``M``.
    """
    if isinstance(rebalance, int) and not isinstance(rebalance, bool) and rebalance >= 1:
        due: BoolArray = np.arange(len(dates)) % rebalance == 0
        return due
    if rebalance not in ("W", "M"):
        raise ValueError(f"rebalance is {rebalance!r}, expected a number of days, 'W' for weekly or 'M' for monthly")
    days = dates.astype("datetime64[D]")
    weeks, months = days - (weekdays(days) - week_start(days)) % 7, days.astype("datetime64[M]")
    starts = weeks if rebalance == "W" else months
    first = np.ones(len(days), np.bool_)
    first[1:] = starts[1:] != starts[:-1]
    return first
