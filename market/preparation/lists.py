"""Lists that a user keeps beside the bars: who was a member when, and which splits there were."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.sources.tables.column_names import snake_case
from market.sources.tables.files import Sheet, read_sheet
from market.sources.tables.values import EMPTY, as_text, parse_dates

FOR_EVER = "9999"
"""Year of a day that never comes, as databases write it."""
_SYMBOL = dict.fromkeys(("ticker", "code", "ts_code", "tic", "instrument", "股票代码", "代码"), "symbol")
_MEMBERSHIP_SPELLINGS = {
    **_SYMBOL,
    **dict.fromkeys(("start_date", "from", "in_date", "date_added", "added", "first_day", "纳入日期"), "start"),
    **dict.fromkeys(("end_date", "to", "out_date", "date_removed", "removed", "last_day", "剔除日期"), "end"),
}
_SPLIT_SPELLINGS = {
    **_SYMBOL,
    **dict.fromkeys(("divid_operate_date", "ex_date", "execution_date", "day"), "date"),
    **dict.fromkeys(("split", "splits", "stock_splits", "split_ratio", "split_coefficient"), "ratio"),
    **dict.fromkeys(("back_adjust_factor", "adj_factor"), "factor"),
}


def read_membership(path: str | Path) -> pd.DataFrame:
    """Returns membership intervals ``symbol, start, end`` from a CSV or Parquet table; NaT where a day is empty.

    Symbols are names: NA is no missing value, and 000001 keeps its zeros. Days may be written in any one way that the
    table itself makes clear.

    Raises:
        ValueError: The file is missing or lacks one of the three columns, a symbol is empty, or a cell is no day.
    """
    sheet, fields = _table(path, _MEMBERSHIP_SPELLINGS, ("symbol", "start", "end"))
    symbols = _symbols(sheet, fields)
    days = {name: _days(sheet, fields[name], name) for name in ("start", "end")}
    return pd.DataFrame({"symbol": symbols, **days})


def read_splits(path: str | Path) -> pd.DataFrame:
    """Returns a list of splits, ``symbol, date, ratio`` (new shares for one old share), from a CSV or Parquet table.

    A ratio may be written as ``3:2`` or ``3/2``. In the place of a ratio the file may hold cumulative factors that grow
    with every action, as baostock's ``backAdjustFactor`` does; the first one of a symbol counts from 1.

    Raises:
        ValueError: The file is missing, lacks a column, or a ratio is no positive number.
    """
    sheet, fields = _table(path, _SPLIT_SPELLINGS, ("symbol", "date"))
    frame = pd.DataFrame({"symbol": _symbols(sheet, fields), "date": _days(sheet, fields["date"], "date")})
    named = "ratio" if "ratio" in fields else "factor"
    if named not in fields:
        raise ValueError(f"{path}: no column 'ratio' among {', '.join(sheet.header)}; rename the one that is")
    frame["cell"] = as_text(sheet.columns[fields[named]]).to_pylist()
    frame["ratio"] = [_ratio(cell) for cell in frame["cell"]]
    wrong = np.flatnonzero(frame["date"].isna() | ~(np.isfinite(frame["ratio"]) & (frame["ratio"] > 0)))
    if len(wrong):
        row = frame.iloc[wrong[0]]
        raise ValueError(
            f"{path}: the ratio of {row['symbol']} on {str(row['date'])[:10]} is '{row['cell']}', expected a day and "
            "new shares for one old share, as 2 or 3:2"
        )
    if named == "factor":
        frame = frame.sort_values(["symbol", "date"])
        frame["ratio"] = frame["ratio"] / frame["ratio"].groupby(frame["symbol"]).shift().fillna(1.0)
    return frame[["symbol", "date", "ratio"]]


def _table(path: str | Path, spellings: Mapping[str, str], needed: Sequence[str]) -> tuple[Sheet, dict[str, int]]:
    """Returns the cells of a table, and the position of every column by our name of it."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file; name a table with {', '.join(needed)}")
    sheet = read_sheet(Path(path), None, None, True)
    fields: dict[str, int] = {}
    for k, cell in enumerate(sheet.header):
        name = snake_case(cell)
        if name and name not in fields:
            fields[name] = k
    for spelling, name in spellings.items():
        if spelling in fields and name not in fields:
            fields[name] = fields[spelling]
    for name in needed:
        if name not in fields:
            header = ", ".join(cell for cell in sheet.header if cell.strip())
            raise ValueError(f"{path}: no column '{name}' among {header}; rename the one that is")
    return sheet, fields


def _symbols(sheet: Sheet, fields: Mapping[str, int]) -> list[str]:
    symbols = [cell.lstrip("'") for cell in as_text(sheet.columns[fields["symbol"]]).to_pylist()]
    empty = [k for k, symbol in enumerate(symbols) if not symbol]
    if empty:
        raise ValueError(f"{sheet.place(empty[0])}: the symbol is empty ({len(empty)} such rows); fill it in")
    return symbols


def _days(sheet: Sheet, position: int, name: str) -> "pd.Series[Any]":
    """Returns the days of a column, NaT where a cell is empty; the filled ones tell how days are written."""
    column = sheet.columns[position]
    cells = as_text(column).to_pylist()
    filled = np.flatnonzero([cell.lower() not in EMPTY and not cell.startswith(FOR_EVER) for cell in cells])
    days = np.full(len(column), np.datetime64("NaT"), dtype="datetime64[D]")
    if len(filled):
        try:
            days[filled] = parse_dates(
                column.take(filled), None, ["all"] * len(filled), lambda k: sheet.place(filled[k])
            )
        except ValueError as error:
            remedy = "correct it; a list writes days as 2020-01-31"
            raise ValueError(str(error).replace("'date'", f"'{name}'").partition("; ")[0] + f"; {remedy}") from None
    return pd.Series(days.astype("datetime64[s]"))


def _ratio(cell: str) -> float:
    parts = cell.replace("/", ":").split(":")
    try:
        return float(parts[0]) / float(parts[1]) if len(parts) == 2 else float(parts[0])
    except (ValueError, ZeroDivisionError):
        return math.nan
