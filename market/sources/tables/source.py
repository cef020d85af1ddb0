"""Tables of daily bars in files: a folder of per-ticker files, one long file or one wide file, CSV or Parquet."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from market.arrays import AnyArray, BoolArray, DateArray, FloatArray
from market.sources.tables.column_names import (
    LEVEL_FIELDS,
    PRICE_FIELDS,
    TRADE_STATUS,
    assign_fields,
    meaning,
    paired_levels,
)
from market.sources.tables.files import PARQUET, TEXT, Sheet, dated_by_name, read_sheet, refuse_packed, symbols_by_index
from market.sources.tables.values import as_text, decimal_comma, dot_is_decimal, parse_dates, parse_flags, parse_numbers
from market.sources.tables.wide import is_wide, refuse_volumes, wide_symbols

SHOWN = 5  # files that cannot be read, in one message
FEW_REPEATED, REPEATED_SHARE = 5, 0.1
"""From so many rows, and beyond this share of all, days that stand more than once are no slip of a single symbol."""
FLAGS = ("listed", "tradable", TRADE_STATUS)
TEXTS = ("currency",)
"""Columns that stay text: checks read them, the panel leaves them out."""


@dataclass(frozen=True)
class Tables:
    """Daily bars from files as vendors write them.

    Understands the column names of Yahoo, FMP, Alpha Vantage, Kaggle, baostock and NetEase, the header lines of
    yfinance, newest-first rows, quoted numbers, thousands separators, currency signs and empty cells. What cannot be
    read beyond doubt is refused, never guessed. Rows come out as they stand in the file, sorted by symbol and date;
    repeated and impossible ones are left to `market.preparation.quality`.

    Attributes:
        path: A CSV (``.csv``, ``.tsv``, ``.txt``) or Parquet (``.parquet``, ``.pq``) file, or a folder of them.
        layout: ``folder``: one file per symbol, named by its symbol column or else by the file name. ``long``: one
            row per date and symbol, or a single symbol; files of a folder may hold many symbols, as one file a day
            does, whose name may be its date. ``wide``: a date column and one column of closes per symbol.
            ``auto``: a folder is a folder; a file without field names above its columns is wide, any other long.
        columns: Pairs of a column (its header, or its position from 0) and our name of its field: ``date``,
            ``symbol``, ``open``, ``high``, ``low``, ``close``, ``adj_close``, ``volume``, ``trade_status`` or any
            other. An empty name leaves a column out. Positions alone say that a CSV has no header.
        symbol: Symbol of a single file that names none; the file name where None.
        date_format: As in `strptime`, where dates are ambiguous (``%d/%m/%Y``, ``%d%m%y``).
        encoding: Of CSV files; None tries UTF-8, UTF-16, GBK and Latin-1, strictly.
        delimiter: Between cells of CSV files; None reads it off the first line.
        decimal: The decimal mark; with ``,`` a dot groups thousands.
    """

    path: str
    layout: Literal["auto", "folder", "long", "wide"] = "auto"
    columns: tuple[tuple[str | int, str], ...] = ()
    symbol: str | None = None
    date_format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."

    def __post_init__(self) -> None:
        if self.layout not in ("auto", "folder", "long", "wide"):
            raise ValueError(f"tables: layout is '{self.layout}', expected 'auto', 'folder', 'long' or 'wide'")
        if self.layout == "wide" and (self.columns or self.symbol):
            raise ValueError("tables: a wide table names its symbols above its columns; leave out columns and symbol")
        if self.decimal not in (".", ","):
            raise ValueError(f"tables: decimal is '{self.decimal}', expected '.' or ','")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"tables: delimiter is {self.delimiter!r}, expected one character")

    def read(self) -> pd.DataFrame:
        """Returns the long frame ``date, symbol, open, ..., volume[, adj_close][, others][, tradable]``.

        Prices are float64 and empty cells NaN. A trade status of 0 makes ``tradable`` false; columns of text are
        left out, and so are the days of a wide table on which a symbol has no value.

        Raises:
            ValueError: Something is missing, ambiguous or unreadable; names the file, the line and the column.
        """
        path = Path(self.path)
        if path.is_dir():
            frame = self._read_folder(path)
        elif not path.is_file():
            raise ValueError(f"{path}: no such file or folder; correct the path")
        elif self.layout == "folder":
            raise ValueError(f"{path}: layout is 'folder' but this is a file; use layout='auto'")
        else:
            frame = self._read_file(path, self.symbol)
        codes, names = pd.factorize(frame["symbol"], sort=True)
        order = np.lexsort((frame["date"].to_numpy(), codes))
        frame = frame.take(order).reset_index(drop=True)
        return frame.assign(symbol=names.to_numpy(dtype=object)[codes[order]])  # one string a symbol, not a row

    def _read_folder(self, folder: Path) -> pd.DataFrame:
        if self.layout not in ("auto", "folder") or self.symbol is not None:
            raise ValueError(f"{folder}: layout='{self.layout}' and symbol are for single files, but this is a folder")
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in PARQUET + TEXT and p.name[0] != ".")
        refuse_packed(folder)
        if not paths:
            raise ValueError(f"{folder}: no {', '.join(TEXT + PARQUET)} files in it; correct the path")
        frames: dict[str, pd.DataFrame] = {}
        problems = []
        for path in paths:
            try:
                frames[path.name] = self._read_file(path, None)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            told = "; ".join(problems[:SHOWN]) + more
            raise ValueError(
                f"{folder}: {len(problems)} of {len(paths)} files cannot be read, correct or remove them: {told}"
            )
        _refuse_different_fields(folder, frames)
        return _joined(folder, frames)

    def _read_file(self, path: Path, symbol: str | None) -> pd.DataFrame:
        headed = not self.columns or any(not str(column).isdigit() for column, _ in self.columns)
        sheet = read_sheet(path, self.encoding, self.delimiter, headed)
        sheet = sheet if self.columns else _with_levels(sheet, self.layout == "wide")
        if len(sheet.levels) == 2:
            return self._read_levels(sheet)
        if headed and not {"date", "symbol"} & set(dict(self.columns).values()):
            sheet = symbols_by_index(sheet)
        if headed and "date" not in dict(self.columns).values():
            sheet = dated_by_name(sheet)
        if self.layout == "wide" or (self.layout == "auto" and is_wide(sheet, bool(self.columns))):
            return self._read_wide(sheet)
        fields = assign_fields(sheet.header, self.columns, f"{path}")
        return self._read_bars(sheet, fields, symbol)

    def _read_levels(self, sheet: Sheet) -> pd.DataFrame:
        """Reads the two header lines of yfinance, fields above tickers or tickers above fields."""
        first, second = (level[1:] for level in sheet.levels)
        if not all(meaning(cell) in LEVEL_FIELDS for cell in first):
            first, second = second, first
        header = ("date", *first)
        frames = []
        for ticker in dict.fromkeys(second):
            kept = [0, *(k for k, cell in enumerate(second, 1) if cell == ticker)]
            place = f"{sheet.path} ({ticker})"
            fields = assign_fields([header[k] for k in kept], self.columns, place)
            bars = self._read_bars(sheet, {name: kept[k] for name, k in fields.items()}, ticker)
            frames.append(bars.dropna(how="all", subset=[n for n in bars.columns if n not in ("date", "symbol")]))
        return pd.concat(frames, ignore_index=True)

    def _read_wide(self, sheet: Sheet) -> pd.DataFrame:
        fields = assign_fields(("date", *map(str, range(1, len(sheet.header)))), (), f"{sheet.path}")
        symbols = wide_symbols(sheet)
        dates = parse_dates(sheet.columns[0], self.date_format, ["all"] * len(sheet.columns[0]), sheet.place)
        numbers = self._numbers(sheet, fields)
        closes = np.stack([numbers(name, True) for name in list(fields)[1:]])  # [N, T]
        if self.layout != "wide":
            refuse_volumes(sheet, dates, closes)
        asset, row = np.nonzero(np.isfinite(closes))
        names = np.array(symbols, dtype=object)
        return pd.DataFrame({"date": dates[row], "symbol": names[asset], "close": closes[asset, row]})

    def _read_bars(self, sheet: Sheet, fields: Mapping[str, int], symbol: str | None) -> pd.DataFrame:
        for name in ("date", "close"):
            if name not in fields:
                _refuse_features(sheet, fields)
                raise ValueError(
                    f"{sheet.path}: no column '{name}' among {', '.join(sheet.header[:12]) or 'unnamed columns'}; name "
                    f"it with columns=(('...', '{name}'),) (--source.columns ... {name}), or use layout='wide' where "
                    "columns are symbols"
                )
        symbols = _symbols(sheet, fields, symbol)
        dates = parse_dates(sheet.columns[fields["date"]], self.date_format, symbols, sheet.place)
        if "symbol" not in fields:
            _refuse_repeated_days(sheet, dates)
        frame: dict[str, AnyArray] = {"date": dates, "symbol": symbols}
        numbers = self._numbers(sheet, fields)
        leading = [name for name in ("open", "high", "low", "close", "volume", "adj_close") if name in fields]
        for name in (*leading, *(name for name in fields if name not in leading)):
            if name in ("date", "symbol", *FLAGS):
                continue
            if name in TEXTS:
                frame[name] = np.array(as_text(sheet.columns[fields[name]]).to_pylist(), dtype=object)
                continue
            values = numbers(name, name in PRICE_FIELDS)
            if values is not None:
                frame[name] = values
        return pd.DataFrame({**frame, **_flags(sheet, fields)})

    def _numbers(self, sheet: Sheet, fields: Mapping[str, int]) -> Any:
        """Returns a reader of fields by name: numbers, or None for an optional column of text."""
        commas = [decimal_comma(column) for column in sheet.columns] if self.decimal == "." else []
        for k, cell in enumerate(commas):
            if cell is not None:  # then 1.084 elsewhere may be a thousand
                label = sheet.header[k].strip() or str(k)
                raise ValueError(
                    f"{sheet.path}: column '{label}' holds '{cell}', where the comma marks decimals; set "
                    "decimal=',' (--source.decimal ,)"
                )
        dotted = cache(partial(dot_is_decimal, sheet.columns))

        def read(name: str, required: bool) -> FloatArray | None:
            column = sheet.columns[fields[name]]
            values, wrong = parse_numbers(column, self.decimal, dotted)
            filled = np.isfinite(values) | wrong
            if wrong.any() and not required and 2 * wrong.sum() >= filled.sum():
                return None
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                label = sheet.header[fields[name]].strip() or name
                raise ValueError(
                    f"{sheet.place(row)}: column '{label}' holds '{column[row]}', which is no number beyond doubt "
                    f"({int(wrong.sum())} such cells); correct it, or set decimal=',' if the comma marks decimals"
                )
            return values

        return read


def _symbols(sheet: Sheet, fields: Mapping[str, int], symbol: str | None) -> AnyArray:
    count = len(sheet.columns[0])
    if "symbol" not in fields:
        return np.full(count, sheet.path.stem if symbol is None else symbol, dtype=object)
    column = sheet.columns[fields["symbol"]]
    cells = as_text(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    names = np.array([cell.lstrip("'") for cell in cells.to_pylist()], dtype=object)
    empty = np.flatnonzero(names == "")
    if len(empty):
        raise ValueError(f"{sheet.place(int(empty[0]))}: the symbol is empty ({len(empty)} such rows); fill it in")
    damaged = {name for name in set(names) if not name.isprintable()}
    if damaged:
        row = next(k for k, name in enumerate(names) if name in damaged)
        raise ValueError(f"{sheet.place(row)}: the symbol {names[row]!r} holds control characters; correct it")
    if symbol is not None:
        if len(set(names)) > 1:
            raise ValueError(f"{sheet.path}: symbol='{symbol}' is given but the file holds {len(set(names))} symbols")
        names[:] = symbol
    return names


def _refuse_repeated_days(sheet: Sheet, dates: DateArray) -> None:
    """Refuses many days that stand more than once, which are of several symbols and would be mixed into one."""
    repeated = len(dates) - len(np.unique(dates))
    if repeated >= FEW_REPEATED and repeated > REPEATED_SHARE * len(dates):
        raise ValueError(
            f"{sheet.path}: {repeated} of {len(dates)} rows are of days that stand more than once, as in a table of "
            f"several symbols, but no column names the symbol; call it 'symbol', or name it with columns=(('...', "
            "'symbol'),)"
        )


def _refuse_features(sheet: Sheet, fields: Mapping[str, int]) -> None:
    """Refuses a table of features, which holds no prices under any name."""
    if {"date", "symbol"} <= set(fields) and not set(PRICE_FIELDS[:-1]) & set(fields) and len(fields) > 2:
        count = len(fields) - 2
        raise ValueError(
            f"{sheet.path}: it holds {count} columns by date and symbol but no price; a panel needs closes, so prepare "
            "one from prices and give this table to later stages with --own-features (or name the close with "
            "columns=(('...', 'close'),))"
        )


def _flags(sheet: Sheet, fields: Mapping[str, int]) -> dict[str, BoolArray]:
    """Reads the masks a table may state; a trade status of 0 means not tradable."""
    masks: dict[str, BoolArray] = {}
    for name in FLAGS:
        if name not in fields:
            continue
        yes, wrong = parse_flags(sheet.columns[fields[name]])
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            cell = sheet.columns[fields[name]][row]
            raise ValueError(f"{sheet.place(row)}: column '{name}' holds '{cell}', expected 0 or 1; correct it")
        mask = "tradable" if name == TRADE_STATUS else name
        masks[mask] = masks.get(mask, yes) & yes
    return masks


def _refuse_different_fields(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, frame in frames.items():
        groups.setdefault(tuple(sorted(frame.columns)), []).append(name)
    if len(groups) == 1:
        return
    usual = max(groups, key=lambda fields: len(groups[fields]))
    parts = []
    for fields, names in groups.items():
        if fields != usual:
            lacks, adds = sorted(set(usual) - set(fields)), sorted(set(fields) - set(usual))
            change = " and ".join(f"{verb} {extra}" for verb, extra in (("lack", lacks), ("add", adds)) if extra)
            parts.append(f"{', '.join(names[:5])}{' and more' if len(names) > 5 else ''} {change}")
    raise ValueError(
        f"{folder}: the files have different fields: {'; '.join(parts)}, compared with {groups[usual][0]}; correct "
        "the files or leave columns out with columns=(('...', ''),)"
    )


def _joined(folder: Path, frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns all rows; two files may share a symbol (one file per year, or per day) but not a day of it."""
    joined = pd.concat(frames.values(), ignore_index=True)
    files = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames.values()])
    symbols, _ = pd.factorize(joined["symbol"])
    days, _ = pd.factorize(joined["date"])
    cell = symbols.astype(np.int64) * (int(days.max(initial=0)) + 1) + days
    order = np.argsort(cell, kind="stable")
    again = np.flatnonzero((np.diff(cell[order]) == 0) & (np.diff(files[order]) != 0))
    if len(again):
        first, second = order[again[0]], order[again[0] + 1]
        names = list(frames)
        raise ValueError(
            f"{folder}: {names[files[first]]} and {names[files[second]]} both hold {joined['symbol'][first]} on "
            f"{str(joined['date'][first])[:10]}; remove one of them"
        )
    return joined


def _with_levels(sheet: Sheet, wide: bool) -> Sheet:
    """Returns the sheet with the two header levels that its cells name one beside the other."""
    paired = paired_levels(sheet.header, f"{sheet.path}", wide) if len(sheet.levels) == 1 else None
    if paired is None:
        return sheet
    fields, symbols, kept = paired
    columns = tuple(sheet.columns[k] for k in kept)
    return replace(sheet, levels=(("date", *fields), ("", *symbols)), columns=columns)
