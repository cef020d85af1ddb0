"""Dates: parsing, writing, and the calendar features of an encoder."""

from datetime import date

import numpy as np

from market.arrays import BoolArray, DateArray, FeatureArray, IntArray

CALENDAR_FIELDS = ("day", "weekday", "month")
SPECIAL_SHARE = 0.25  # of the days of the busiest weekday: below it, sessions on a weekday are special ones
MANY_DAYS = 20  # from here on the dates tell which weekdays are traded


def calendar_features(dates: DateArray) -> FeatureArray:
    """Returns day of the month, weekday and month of each date, ``[T, 3]`` float32 from -0.5 to 0.5.

    The first of the month, Monday and January are -0.5; the 31st, Sunday and December are 0.5. These are the three
    calendar inputs of STORM. A date's features depend on that date only.
    """
    days = dates.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    day = (days - months).astype(np.int64)  # 0 .. 30
    weekday = weekdays(days)
    month = months.astype(np.int64) % 12
    return np.stack([day / 30, weekday / 6, month / 11], axis=1).astype(np.float32) - np.float32(0.5)


def parse_day(text: object) -> date | None:
    """Returns the day that `text` writes as ``YYYY-MM-DD``; None where it is not text, or written in any other way."""
    try:
        day = date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return day if day is not None and day.isoformat() == text else None


def periods_per_year(dates: DateArray) -> float:
    """Returns how many rows with these `dates` a year has: 252 trading days, 365 where weekends are traded, 52, 12, 4.

    The median distance of neighbouring dates decides, so holidays do not matter and a few rows are enough. A week of
    six days, as markets from Sunday to Thursday and from Monday to Friday have together, counts 302.
    """
    days = dates.astype("datetime64[D]")
    distance = float(np.median(np.diff(days).astype(np.int64))) if len(days) > 1 else 1.0
    for least, periods in ((300, 1.0), (80, 4.0), (25, 12.0), (5, 52.0)):
        if distance >= least:
            return periods
    return {6: 302.0, 7: 365.0}.get(int(traded_weekdays(days).sum()), 252.0)


def traded_weekdays(dates: DateArray) -> BoolArray:
    """Returns on which weekdays ``[7]``, from Monday, a market with these daily `dates` trades.

    Special sessions do not count. A few days tell little: they are of a week from Monday to Friday, or else of one
    without a weekend.
    """
    days = dates.astype("datetime64[D]")
    if len(days) < MANY_DAYS:
        return np.array([True] * 5 + [not np.is_busday(days).all()] * 2)
    counts = np.bincount(weekdays(days), minlength=7)
    traded: BoolArray = counts >= SPECIAL_SHARE * counts.max()
    return traded


def weekdays(dates: DateArray) -> IntArray:
    """Returns the weekday of every date, from 0 for Monday."""
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # the epoch was a Thursday


def next_day(dates: DateArray) -> np.datetime64:
    """Returns the day after the last one on which a market with these daily `dates` trades next, holidays aside."""
    traded = traded_weekdays(dates)
    following = dates[-1] + 1 + np.arange(7)
    after: np.datetime64 = following[traded[weekdays(following)]][0]
    return after


def week_start(dates: DateArray) -> int:
    """Returns the weekday on which a week begins: the first one after the weekend, and Monday where there is none."""
    traded = traded_weekdays(dates)
    gaps = [next(k for k in range(1, 8) if traded[(day - k) % 7]) if traded[day] else 0 for day in range(7)]
    return int(np.argmax(gaps)) if max(gaps) > 1 else 0
