"""Weekly, monthly and quarterly bars out of daily ones."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from market.arrays import AnyFloatArray, DateArray, IntArray
from market.calendar import next_day, week_start
from market.panel import Panel
from market.prices.money import traded_money

Frequency = Literal["d", "w", "m", "q"]
SUMMED = ("volume", "raw_volume", "amount")


def resample(panel: Panel, frequency: Frequency) -> Panel:
    """Returns bars of whole weeks, months or quarters; weeks run from Monday, or from the day after the weekend.

    A row is dated by its **last** trading day, so that it still holds what was known after the close of its date. Open
    is the first known one of the period, high the highest, low the lowest, volumes and amount the sum, and close and
    every other field the last known one; a field never known in the period is NaN. Where prices were adjusted the
    money traded is added as ``amount``, which no close of the period could tell.

    An asset is listed if it is on the last day. It is tradable if it is on the first day (where the period's open is)
    and on the last (where its close is).

    The last period is left out while it may still be running, that is unless the next day on which the market usually
    trades lies in another period. So the rows of a panel that is cut off are rows of the
    whole panel. The first period is kept even if the panel starts in the middle of it.

    Raises:
        ValueError: The frequency is unknown, or no period is complete.
    """
    if frequency not in get_args(Frequency):
        raise ValueError(f"frequency is '{frequency}', expected one of {', '.join(get_args(Frequency))}")
    if frequency == "d":
        return panel
    panel = _with_amount(panel)
    first, last = _complete_periods(panel.dates, frequency)
    if not len(first):
        raise ValueError(f"panel: {len(panel)} days hold no complete period of frequency '{frequency}'; use more days")
    bars = np.stack([_aggregated(panel[name], name, first, last) for name in panel.fields], axis=2)
    return replace(
        panel,
        dates=panel.dates[last],
        values=bars,
        listed=panel.listed[last],
        tradable=panel.tradable[first] & panel.tradable[last],
        source={**panel.source, "frequency": frequency},
    )


def _with_amount(panel: Panel) -> Panel:
    if "amount" in panel or "raw_close" not in panel or "volume" not in panel:
        return panel
    values = np.concatenate([panel.values, traded_money(panel)[:, :, None].astype(panel.values.dtype)], axis=2)
    return replace(panel, fields=(*panel.fields, "amount"), values=values)


def _complete_periods(dates: DateArray, frequency: Frequency) -> tuple[IntArray, IntArray]:
    """Returns the first and the last row of each complete period."""
    if not len(dates):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    period = _period(np.append(dates, next_day(dates)), frequency, week_start(dates))
    last = np.flatnonzero(period[1:] != period[:-1])
    return np.concatenate([[0], last[:-1] + 1])[: len(last)], last


def _period(dates: DateArray, frequency: Frequency, first_weekday: int) -> IntArray:
    if frequency == "w":
        return (dates.astype(np.int64) + 3 - first_weekday) // 7  # the epoch was a Thursday
    months = dates.astype("datetime64[M]").astype(np.int64)
    return months if frequency == "m" else months // 3


def _aggregated(values: AnyFloatArray, name: str, first: IntArray, last: IntArray) -> AnyFloatArray:
    """Returns one field of each period, ``[P, N]``."""
    values = values[: last[-1] + 1]
    if name == "high":
        return np.fmax.reduceat(values, first, axis=0)
    if name == "low":
        return np.fmin.reduceat(values, first, axis=0)
    known = np.isfinite(values)
    seen = np.logical_or.reduceat(known, first, axis=0)
    if name in SUMMED:
        return np.where(seen, np.add.reduceat(np.where(known, values, 0), first, axis=0), np.nan)
    row = np.arange(len(values))[:, None]
    if name == "open":
        at = np.minimum.reduceat(np.where(known, row, len(values) - 1), first, axis=0)
    else:
        at = np.maximum.reduceat(np.where(known, row, 0), first, axis=0)
    return np.where(seen, np.take_along_axis(values, at, axis=0), np.nan)
