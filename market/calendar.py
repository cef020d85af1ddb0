"""Dates: parsing, writing, and the calendar features of an encoder."""

from datetime import date

import numpy as np

from market.arrays import DateArray, FeatureArray

CALENDAR_FIELDS = ("day", "weekday", "month")
WEEKEND_SHARE = 0.1  # of the days: from here on weekends are traded, and no few special sessions


def calendar_features(dates: DateArray) -> FeatureArray:
    """Returns day of the month, weekday and month of each date, ``[T, 3]`` float32 from -0.5 to 0.5.

    The first of the month, Monday and January are -0.5; the 31st, Sunday and December are 0.5. These are the three
    calendar inputs of STORM. A date's features depend on that date only.
    """
    days = dates.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    day = (days - months).astype(np.int64)  # 0 .. 30
    weekday = (days.astype(np.int64) + 3) % 7  # the epoch was a Thursday; Monday is 0
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

    The median distance of neighbouring dates decides, so holidays do not matter and a few rows are enough.
    """
    days = dates.astype("datetime64[D]")
    distance = float(np.median(np.diff(days).astype(np.int64))) if len(days) > 1 else 1.0
    for least, periods in ((300, 1.0), (80, 4.0), (25, 12.0), (5, 52.0)):
        if distance >= least:
            return periods
    return 365.0 if float((~np.is_busday(days)).mean()) > WEEKEND_SHARE else 252.0
