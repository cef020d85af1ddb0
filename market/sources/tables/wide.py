"""Wide tables: a date column, then one column of closes for every symbol."""

import numpy as np

from market.arrays import DateArray, FloatArray
from market.sources.tables.column_names import is_index, meaning
from market.sources.tables.files import Sheet

WIDE_SHARE = 0.1
"""A header is wide where at most this share of its columns is named like a field (Lowe's ticker is LOW)."""
USUAL_MOVE, ENOUGH_MOVES, BAR_DAYS = 0.12, 20, 7
"""Closes do not move by so much in the median bar of at most a week; volumes move by twice as much."""


def is_wide(sheet: Sheet, mapped: bool) -> bool:
    """Tells whether the columns after the first one are named by symbols; `mapped` if the user names fields."""
    known = [meaning(cell) for cell in sheet.header[1:]]
    fields = sum(name is not None for name in known)
    dated = meaning(sheet.header[0]) == "date" or is_index(sheet.header[0])
    return not mapped and dated and len(known) > 1 and "close" not in known and fields <= WIDE_SHARE * len(known)


def wide_symbols(sheet: Sheet) -> list[str]:
    """Returns the symbols above the columns of closes.

    Raises:
        ValueError: The first column is no date, or a symbol is empty or stands twice.
    """
    symbols = [cell.strip() for cell in sheet.header[1:]]
    if not symbols or not (meaning(sheet.header[0]) in ("date", None) or is_index(sheet.header[0])):
        raise ValueError(f"{sheet.path}: a wide table starts with a date column, not '{sheet.header[0]}'")
    for k, symbol in enumerate(symbols):
        if not symbol or symbol in symbols[:k]:
            reason = f"'{symbol}' stands twice" if symbol else f"column {k + 1} has no symbol"
            raise ValueError(f"{sheet.path}: {reason} in the header of a wide table; correct it")
    return symbols


def refuse_volumes(sheet: Sheet, dates: DateArray, closes: FloatArray) -> None:
    """Refuses a wide table of something that moves as no price does, most likely volumes.

    Args:
        sheet: The table, for the message.
        dates: Of its rows, ``[T]``.
        closes: ``[N, T]``, NaN where there is none.

    Raises:
        ValueError: The median bar moves by more than `USUAL_MOVE`.
    """
    order = np.argsort(dates, kind="stable")
    days = dates[order].astype(np.int64)
    if len(days) < 2 or np.median(np.diff(days)) > BAR_DAYS:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.abs(np.diff(np.log(np.where(closes[:, order] > 0, closes[:, order], np.nan)), axis=1))
    known = moves[np.isfinite(moves) & (moves > 0)]
    if len(known) >= ENOUGH_MOVES and np.median(known) > USUAL_MOVE:
        raise ValueError(
            f"{sheet.path}: its columns move by {100 * np.median(known):.0f} % in the median bar, as volumes do and "
            "closes do not; a table of one column per symbol must hold closes (layout='wide' takes it at its word)"
        )
