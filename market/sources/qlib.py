"""qlib's binary store, read and written without qlib.

A store is a folder::

    calendars/day.txt                      one trading day a line, increasing (day_future.txt is not read)
    instruments/<list>.txt                 symbol, first and last day of membership, separated by tabs; a symbol that
                                           left and came back has several lines
    features/<symbol>/<field>.day.bin      little-endian float32: the calendar index of the first value, then the
                                           values; the folder is the symbol in lower case

Format: https://qlib.readthedocs.io/en/latest/component/data.html#data-preparation
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from market.arrays import AnyArray, AnyFloatArray, BoolArray, DateArray, FloatArray
from market.panel import Panel

SUFFIX = ".day.bin"
CLOSE, CHANGE = "close", "change"
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")  # Windows keeps these names for devices; qlib evades them
_PREFIX = "_qlib_"

Intervals = dict[str, list[tuple[np.datetime64, np.datetime64]]]


@dataclass(frozen=True)
class QlibStore:
    """Daily bars from a qlib store, with the point-in-time membership of one of its instrument lists.

    All history of every symbol in the list is read. `listed` is true on its days of membership, both ends included;
    days before and after serve look-back. A membership day without data is a row of NaN, and a symbol without any
    file has only such rows, so that nobody disappears.

    Public qlib data holds adjusted prices: ``close`` is the quoted price times ``factor``, ``volume`` the quoted
    one over ``factor``; suspended days are NaN. Values are float32, which is all the store has.
    """

    path: str
    """Folder that holds calendars, instruments and features; ~ is the home."""
    instruments: str = "all"
    """Name of the instrument list, as csi300."""
    fields: tuple[str, ...] = ()
    """Fields to read, as open, close or factor; empty for every field that a listed symbol has."""
    start: str | None = None
    """First day to read (YYYY-MM-DD); None for the whole calendar."""
    stop: str | None = None
    """Last day to read (YYYY-MM-DD), inclusive; None for the whole calendar."""

    def read(self) -> pd.DataFrame:
        """Returns the long frame in order of symbol and date: ``date, symbol``, the fields and ``listed``.

        A symbol that lacks a field has NaN there. A field ``tradable``, which `write_qlib` adds, becomes a mask.

        Raises:
            ValueError: There is no calendar, no such list or field, or a file is damaged; names the file.
        """
        root = Path(self.path).expanduser()
        calendar = _read_calendar(root / "calendars" / "day.txt")
        members = _read_instruments(root / "instruments", self.instruments)
        folders = {symbol: _feature_folder(root, symbol) for symbol in sorted(members)}
        fields = self._fields(root, folders)
        first, last = (None if day is None else np.datetime64(day, "D") for day in (self.start, self.stop))
        asked = np.ones(len(calendar), dtype=bool)
        asked &= True if first is None else calendar >= first
        asked &= True if last is None else calendar <= last
        frames = [_symbol_frame(folders[s], s, fields, calendar, members[s], asked) for s in sorted(members)]
        frame = pd.concat(frames, ignore_index=True)
        if not len(frame):
            raise ValueError(
                f"{root}: list '{self.instruments}' has no bars from {self.start or calendar[0]} to "
                f"{self.stop or calendar[-1]}; the calendar covers {calendar[0]} to {calendar[-1]}"
            )
        return frame

    def _fields(self, root: Path, folders: Mapping[str, Path]) -> tuple[str, ...]:
        found = {
            entry.name.removesuffix(SUFFIX)
            for folder in folders.values()
            if folder.is_dir()
            for entry in folder.iterdir()
            if entry.name.endswith(SUFFIX)
        }
        if not found:
            raise ValueError(f"{root / 'features'}: no {SUFFIX} file of any of {len(folders)} symbols; is it complete?")
        for name in self.fields:
            if name not in found:
                raise ValueError(f"{root / 'features'}: no field '{name}'; it has {', '.join(sorted(found))}")
        return self.fields or tuple(sorted(found))


def write_qlib(
    data: Panel | pd.DataFrame, path: str | Path, instruments: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Writes a panel as a qlib store that `QlibStore` and qlib read; values are rounded to float32.

    The list ``all`` states where each asset is listed. A further field ``tradable`` holds that mask as 0 and 1, and
    ``change`` the return from the last close that was traded, which qlib's backtest reads for price limits. A listed
    day that cannot be traded is NaN in every other field, as in qlib's own data, so that qlib's backtest takes it for
    suspended; an asset's first and last day keep their bars, which say how long it lived. Apart from that, what
    `QlibStore` reads back is equal: the same days, assets, masks, and float32 values.
    qlib takes prices to be adjusted, so adjust them first.

    Args:
        data: A panel, or a long frame that `Panel.from_frame` takes.
        path: Folder to make; it must not exist. It is written aside and renamed.
        instruments: Further lists by name, each with columns ``symbol, start, end``; a symbol may have several rows.

    Raises:
        ValueError: The folder exists, a name cannot be a file's, or a list names a symbol that the panel lacks.
    """
    panel = data if isinstance(data, Panel) else Panel.from_frame(data)
    folders = {symbol: _folder_name(symbol) for symbol in panel.assets}
    if len(set(folders.values())) < len(folders):
        twice = next(s for s in panel.assets if list(folders.values()).count(folders[s]) > 1)
        raise ValueError(f"qlib: symbol '{twice}' and another differ only in capitals; a store cannot hold both")
    lists = {"all": _listed_intervals(panel)}
    for name, table in (instruments or {}).items():
        lists[_list_name(name)] = _table_intervals(name, table, panel.assets)
    with _folder_aside(Path(path)) as root:
        _write_lines(root / "calendars" / "day.txt", panel.dates.astype(str).tolist())
        for name, members in lists.items():
            spans = [(symbol, *span) for symbol in sorted(members) for span in members[symbol]]
            _write_lines(root / "instruments" / f"{name}.txt", ["\t".join(map(str, span)) for span in spans])
        for column, symbol in enumerate(panel.assets):
            _write_features(root / "features" / folders[symbol], panel, column)


def _symbol_frame(
    folder: Path,
    symbol: str,
    fields: tuple[str, ...],
    calendar: DateArray,
    spans: list[tuple[np.datetime64, np.datetime64]],
    asked: BoolArray,
) -> pd.DataFrame:
    values = np.full((len(calendar), len(fields)), np.nan)
    covered = np.zeros(len(calendar), dtype=bool)
    for k, name in enumerate(fields):
        file = folder / f"{name}{SUFFIX}"
        if file.exists():
            first, known = _read_values(file, len(calendar))
            values[first : first + len(known), k] = known
            covered[first : first + len(known)] = True
    listed = np.zeros(len(calendar), dtype=bool)
    for start, end in spans:
        listed |= (calendar >= start) & (calendar <= end)
    rows = (covered | listed) & asked
    columns: dict[str, Any] = {"date": calendar[rows].astype("datetime64[s]"), "symbol": symbol}
    columns |= {name: values[rows, k] for k, name in enumerate(fields)}
    if "tradable" in fields:
        columns["tradable"] = columns["tradable"] == 1
    return pd.DataFrame(columns | {"listed": listed[rows]})


def _read_values(file: Path, days: int) -> tuple[int, AnyFloatArray]:
    """Returns the calendar index of the first value, and the values."""
    content = file.read_bytes()
    if not content or len(content) % 4:
        raise ValueError(
            f"{file}: {len(content)} bytes, expected a positive multiple of 4; it was cut off, copy it again"
        )
    numbers: npt.NDArray[np.float32] = np.frombuffer(content, dtype="<f4")
    first, count = float(numbers[0]), len(numbers) - 1
    if not first.is_integer() or first < 0 or first + count > days:
        raise ValueError(
            f"{file}: {count} values from calendar index {first:g}, but the calendar has {days} days; "
            "the file belongs to another calendar"
        )
    return int(first), numbers[1:]


def _read_calendar(file: Path) -> DateArray:
    if not file.is_file():
        raise ValueError(f"{file}: no such file; path must hold calendars, instruments and features of a qlib store")
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    days = np.array([_day(text, f"{file}:{k}") for k, text in enumerate(lines, 1)], dtype="datetime64[D]")
    if not len(days):
        raise ValueError(f"{file}: it is empty; a store needs at least one trading day")
    late = np.flatnonzero(days[1:] <= days[:-1])
    if len(late):
        raise ValueError(f"{file}: {days[late[0] + 1]} follows {days[late[0]]}; days must increase, sort them")
    return days


def _read_instruments(folder: Path, name: str) -> Intervals:
    known = sorted(file.stem for file in folder.glob("*.txt"))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"{folder}: no instrument list '{name}'; {hint}it has {', '.join(known) or 'none'}")
    file = folder / f"{name}.txt"
    members: Intervals = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where, parts = f"{file}:{number}", [part.strip() for part in line.split("\t")]
        if len(parts) < 3:
            raise ValueError(f"{where}: {line!r}, expected symbol, first day and last day separated by tabs")
        start, end = _day(parts[1], where), _day(parts[2], where)
        if end < start:
            raise ValueError(f"{where}: membership of {parts[0]} ends on {end}, before it starts on {start}; swap them")
        _folder_name(parts[0], where)
        members.setdefault(parts[0], []).append((start, end))
    if not members:
        raise ValueError(f"{file}: it names no symbol; choose another list of {', '.join(known)}")
    return members


def _day(text: str, where: str) -> np.datetime64:
    try:
        return np.datetime64(date.fromisoformat(text.split()[0].split("T")[0]), "D")
    except (ValueError, IndexError):
        raise ValueError(f"{where}: {text!r} is not a day; expected YYYY-MM-DD") from None


def _folder_name(symbol: str, where: str = "qlib") -> str:
    """Returns the folder of a symbol; one that would lead elsewhere is refused."""
    if not symbol or symbol.startswith(".") or re.search(r"[\s/\\:\x00]", symbol):
        raise ValueError(f"{where}: symbol {symbol!r} cannot name a folder; rename it")
    lower = symbol.lower()
    return _PREFIX + lower if _RESERVED.fullmatch(lower) else lower


def _feature_folder(root: Path, symbol: str) -> Path:
    folder = root / "features" / _folder_name(symbol)
    exact = root / "features" / symbol  # some tools keep the capitals
    return exact if exact.is_dir() and not folder.is_dir() else folder


def _list_name(name: str) -> str:
    if name == "all" or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"qlib: instrument list {name!r} cannot be written; use a-z, 0-9, - and _, and not 'all'")
    return name


def _listed_intervals(panel: Panel) -> Intervals:
    edges = np.diff(panel.listed.astype(np.int8), axis=0, prepend=0, append=0)  # [T + 1, N]
    return {
        symbol: [
            (panel.dates[first], panel.dates[last - 1])
            for first, last in zip(*(np.flatnonzero(edges[:, n] == sign) for sign in (1, -1)), strict=True)
        ]
        for n, symbol in enumerate(panel.assets)
    }


def _table_intervals(name: str, table: pd.DataFrame, assets: tuple[str, ...]) -> Intervals:
    where, members = f"qlib: instrument list '{name}'", Intervals()
    for symbol, start, end in table[["symbol", "start", "end"]].astype(str).itertuples(index=False):
        if symbol not in assets:
            raise ValueError(f"{where} names '{symbol}', which the panel lacks; add its bars or drop it")
        members.setdefault(symbol, []).append((_day(start, where), _day(end, where)))
    return members


def _write_features(folder: Path, panel: Panel, column: int) -> None:
    folder.mkdir(parents=True)
    values = panel.values[:, column].copy()  # [T, F]
    known = np.flatnonzero(np.isfinite(values).any(axis=1))
    span = slice(known[0], known[-1] + 1) if len(known) else slice(0, 0)
    suspended = panel.listed[:, column] & ~panel.tradable[:, column]
    suspended[[span.start, span.stop - 1] if len(known) else []] = False
    values[suspended] = np.nan
    fields: dict[str, AnyArray] = {name: values[span, k] for k, name in enumerate(panel.fields)}
    if CLOSE in fields and CHANGE not in fields:
        fields[CHANGE] = _changes(fields[CLOSE])
    fields["tradable"] = panel.tradable[span, column]
    for name, series in fields.items():
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise ValueError(f"qlib: field '{name}' cannot name a file of a store; use a-z, 0-9 and _")
        np.concatenate([[span.start], series]).astype("<f4").tofile(folder / f"{name}{SUFFIX}")


def _changes(close: FloatArray) -> FloatArray:
    """Returns each close over the last one before it that is known, less 1; NaN where either is missing."""
    prices = pd.Series(close)
    changes: FloatArray = (prices / prices.ffill().shift() - 1).to_numpy()
    return changes


def _write_lines(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@contextmanager
def _folder_aside(final: Path) -> Iterator[Path]:
    """Yields a folder beside `final` that is renamed to it when the block ends without an error."""
    if final.exists():
        raise ValueError(f"{final}: exists; choose another folder or remove this one")
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.part")
    try:
        aside.mkdir(parents=True)
        yield aside
        os.replace(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
