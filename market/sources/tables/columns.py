"""Tables of a user's own numbers by date and symbol: signals, fundamentals, anything that is no bar."""

import os
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from market.sources.tables.column_names import is_index, meaning
from market.sources.tables.files import Sheet, read_sheet, symbols_by_index
from market.sources.tables.values import as_text, dot_is_decimal, parse_dates, parse_numbers

KEYS = ("date", "symbol")


def read_columns(path: str) -> pd.DataFrame:
    """Returns ``date``, ``symbol`` and the other columns of a CSV or Parquet table, sorted by date.

    Columns keep their names; those of text stay text. Symbols are names: NA is no missing value, 000001 keeps its
    zeros. The same file is read once, until it changes.

    Raises:
        ValueError: The file is missing or no table, a key is missing or empty, or a cell has two rows.
    """
    return _read(path, *_state(path)).copy(deep=False)


def file_digest(path: str) -> str:
    """Returns the SHA-256 of a file, computed once until the file changes.

    Raises:
        ValueError: The file is missing.
    """
    return _digest(path, *_state(path))


def _state(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        raise ValueError(f"{path}: no such file; name a table with date, symbol and the columns") from None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _digest(path: str, _changed: int, _size: int) -> str:
    return sha256(Path(path).read_bytes()).hexdigest()


@lru_cache(maxsize=4)
def _read(path: str, _changed: int, _size: int) -> pd.DataFrame:
    sheet = symbols_by_index(read_sheet(Path(path), None, None, True))
    places = _keys(sheet)
    symbols = np.array(as_text(sheet.columns[places["symbol"]]).to_pylist(), dtype=object)
    empty = np.flatnonzero(symbols == "")
    if len(empty):
        raise ValueError(f"{sheet.place(int(empty[0]))}: the symbol is empty ({len(empty)} such rows); fill it in")
    dates = parse_dates(sheet.columns[places["date"]], None, symbols, sheet.place)
    frame = pd.DataFrame({"date": dates.astype("datetime64[s]"), "symbol": symbols})
    dotted = partial(dot_is_decimal, sheet.columns)
    for k, cell in enumerate(sheet.header):
        if k not in places.values() and not is_index(cell):
            values, wrong = parse_numbers(sheet.columns[k], ".", dotted)
            frame[cell.strip()] = as_text(sheet.columns[k]).to_pylist() if wrong.any() else values
    twice = frame[frame.duplicated(list(KEYS))]
    if len(twice):
        day, symbol = twice.iloc[0][list(KEYS)]
        raise ValueError(f"{path}: {symbol} has two rows on {day.date()}; keep one of them")
    return frame.sort_values("date", kind="stable", ignore_index=True)


def _keys(sheet: Sheet) -> dict[str, int]:
    places: dict[str, int] = {}
    for k, cell in enumerate(sheet.header):
        name = meaning(cell)
        if name in KEYS and name not in places:
            places[name] = k
    for name in KEYS:
        if name not in places:
            raise ValueError(f"{sheet.path}: no column '{name}' among {', '.join(sheet.header[:12])}; rename it")
    return places
