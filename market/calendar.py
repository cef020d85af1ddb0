"""Dates: parsing, writing, and the calendar features of an encoder."""

from datetime import date

import numpy as np

from market.arrays import DateArray, FeatureArray

CALENDAR_FIELDS = ("day", "weekday", "month")


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
