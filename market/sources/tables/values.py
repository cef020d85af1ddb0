"""Cells of text as days and numbers; what cannot be read with certainty is refused."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from market.arrays import AnyArray, BoolArray, DateArray, FloatArray

Place = Callable[[int], str]
"""Names a row, given its number, for messages."""

SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", ("%Y-%m-%d",)),
    (r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}", ("%Y/%m/%d",)),
    (r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}", ("%Y.%m.%d",)),
    (r"[0-9]{8}", ("%Y%m%d", "%d%m%Y", "%m%d%Y")),
    (r"[0-9]{6}", ("%d%m%y", "%m%d%y", "%y%m%d")),
    (r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", ("%d/%m/%Y", "%m/%d/%Y")),
    (r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}", ("%d.%m.%Y", "%m.%d.%Y")),
    (r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}", ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d")),
    (r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{2}", ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d")),
    (r"[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}", ("%d-%b-%Y",)),
    (r"[0-9]{1,2}-[A-Za-z]{3}-[0-9]{2}", ("%d-%b-%y",)),
    (r"[0-9]{1,2} [A-Za-z]{3} [0-9]{4}", ("%d %b %Y",)),
    (r"[A-Za-z]{3} [0-9]{1,2}, [0-9]{4}", ("%b %d, %Y",)),
)
"""How a day may be written, and the formats each way of writing may mean."""

YEARS = (1800, 2200)
EVIDENCE_DAYS = 10
"""Rows from which their order may tell one date format from another."""

EMPTY = frozenset({"", "nan", "na", "n/a", "#n/a", "none", "null", "nat", "-", "--"})
_MIDNIGHT = re.compile(r"[ T]00:00(:00(\.0+)?)?( ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?$")
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{2,3})*,[0-9]{3}(\.[0-9]*)?")
_DOT_IS_DECIMAL = r"^[^.]*\.[0-9]{1,2}$|^[^.]*\.[0-9]{4,}$|,[0-9]{3}\.[0-9]*$"
_COMMA_IS_DECIMAL = r"^[+-]?[0-9.]*[0-9],([0-9]{1,2}|[0-9]{4,})\s*%?$"
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9}


def looks_like_date(cell: str) -> bool:
    """Returns whether a cell is written like a day."""
    return _shape(_MIDNIGHT.sub("", cell.strip())) is not None


def as_text(column: Any) -> Any:
    """Returns a pyarrow column of any type as trimmed text; null becomes empty."""
    return pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))


def parse_dates(column: Any, date_format: str | None, symbols: Sequence[str] | AnyArray, place: Place) -> DateArray:
    """Returns the days of a column, ``[rows] datetime64[D]``.

    Without `date_format`, the format is the one that reads every cell where others fail on many, or the only one under
    which the rows of every symbol are in order (at least `EVIDENCE_DAYS` rows). Anything less is refused.

    Args:
        column: pyarrow array of text, dates, timestamps at midnight, or integers like 20170103.
        date_format: As in `strptime`, or None.
        symbols: Symbol of every row.
        place: Names a row.

    Raises:
        ValueError: A cell is empty, not a day, within a day, or written otherwise than the others; or the format is
            ambiguous.
    """
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return _typed_dates(column, place)
    encoded = pc.dictionary_encode(as_text(column))
    cells = [str(cell) for cell in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    if date_format is None or "%H" not in date_format:
        cells = [_MIDNIGHT.sub("", cell) for cell in cells]
    formats = _formats(cells, codes, place) if date_format is None else (date_format,)
    read = {fmt: _parse(cells, fmt, place(0)) for fmt in formats}
    chosen = _choose({fmt: days[codes] for fmt, days in read.items()}, symbols)
    if chosen is None:
        raise ValueError(
            f"{place(0)}: column 'date' could be {' or '.join(formats)} ('{cells[codes[0]]}'); say which with "
            "date_format"
        )
    days: DateArray = read[chosen][codes]
    if np.isnat(days).any():
        row = int(np.flatnonzero(np.isnat(days))[0])
        raise ValueError(
            f"{place(row)}: column 'date' holds '{cells[codes[row]]}', which is no day in the format {chosen}; "
            "correct it or set date_format"
        )
    return days


def parse_numbers(column: Any, decimal: str, dotted: Callable[[], bool]) -> tuple[FloatArray, BoolArray]:
    """Returns the numbers of a column, NaN where a cell is empty, and which cells are no numbers.

    Args:
        column: pyarrow array of text or numbers.
        decimal: The decimal mark, ``.`` or ``,``.
        dotted: Tells whether the file elsewhere uses the dot as its decimal mark, so that the comma of ``1,084`` can
            only group thousands; asked only when it matters.
    """
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan), np.zeros(len(column), np.bool_)
    if not _is_text(column):
        return _typed_numbers(column)
    text = as_text(column)
    empty = pc.is_in(pc.utf8_lower(text), pa.array(sorted(EMPTY)))
    filled = pc.if_else(empty, pa.scalar(None, pa.string()), text)
    try:
        if decimal != ".":
            raise pa.ArrowInvalid("the fast way reads dots")
        values = pc.cast(filled, pa.float64())
        numbers = np.array(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        read = {cell: _number(cell, decimal, dotted) for cell in pc.unique(filled).to_pylist() if cell is not None}
        numbers = np.array([read.get(cell, np.nan) for cell in filled.to_pylist()], dtype=np.float64)
    blank = empty.to_numpy(zero_copy_only=False).astype(np.bool_)
    return numbers, ~np.isfinite(numbers) & ~blank


def parse_flags(column: Any) -> tuple[BoolArray, BoolArray]:
    """Returns a column of yes and no (1 and 0, true and false) as bool, and which cells are neither."""
    cells = pc.utf8_lower(as_text(column))
    yes = pc.is_in(cells, pa.array(["1", "1.0", "true"])).to_numpy(zero_copy_only=False)
    no = pc.is_in(cells, pa.array(["0", "0.0", "false"])).to_numpy(zero_copy_only=False)
    return yes.astype(np.bool_), ~(yes | no).astype(np.bool_)


def dot_is_decimal(columns: Sequence[Any]) -> bool:
    """Returns whether some cell of text can only be read with the dot as the decimal mark."""
    texts = [column for column in columns if _is_text(column)]
    return any(pc.any(pc.match_substring_regex(as_text(text), _DOT_IS_DECIMAL)).as_py() for text in texts)


def decimal_comma(column: Any) -> str | None:
    """Returns the first cell of a column of text whose comma can only mark decimals, or None."""
    if not _is_text(column):
        return None
    text = as_text(column)
    found = pc.index(pc.match_substring_regex(text, _COMMA_IS_DECIMAL), True).as_py()
    return None if found < 0 else str(text[found])


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _typed_numbers(column: Any) -> tuple[FloatArray, BoolArray]:
    """Numbers of a typed Parquet column; infinity counts as no number."""
    kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
    if not any(kind(column.type) for kind in kinds):
        return np.full(len(column), np.nan), np.ones(len(column), np.bool_)
    values = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan)
    numbers = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    return numbers, np.isinf(numbers)


def _number(cell: str, decimal: str, dotted: Callable[[], bool]) -> float:
    """Reads one cell with currency sign, thousands or a scale letter; NaN where it is no number beyond doubt."""
    text = re.sub(r"^([+-]?)[$€£¥₹￥]\s*|\s*[$€£¥₹￥]$", r"\1", cell)
    scale = _SCALE.get(text[-1:].upper(), 1.0)
    text = text if scale == 1.0 else text[:-1]
    if decimal == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    if "," in text:
        certain = decimal == "," or text.count(",") > 1 or dotted()
        if not (certain and _GROUPED.fullmatch(text)):
            return np.nan
        text = text.replace(",", "")
    return float(text) * scale if _PLAIN.fullmatch(text) else np.nan


def _shape(cell: str) -> tuple[str, tuple[str, ...]] | None:
    return next((entry for entry in SHAPES if re.fullmatch(entry[0], cell)), None)


def _formats(cells: Sequence[str], codes: AnyArray, place: Place) -> tuple[str, ...]:
    """Returns the formats that the common shape of all cells may mean."""
    shape = _shape(cells[codes[0]])
    pattern = re.compile(shape[0]) if shape else None
    strange = np.array([pattern is None or not pattern.fullmatch(cell) for cell in cells])
    if shape is None or strange.any():
        row = _first(codes, strange)
        cell = cells[codes[row]]
        if re.search(r"[0-9]:[0-9]", cell):
            raise ValueError(f"{place(row)}: column 'date' holds '{cell}', a time within the day; bars must be daily")
        if shape is None and row == 0 and cell == "0":
            raise ValueError(f"{place(row)}: column 'date' holds row numbers, no days; save the frame with its index")
        like = "" if row == 0 else f" written like '{cells[codes[0]]}'"
        raise ValueError(
            f"{place(row)}: column 'date' holds '{cell}', which is no day{like}; correct it or set date_format"
        )
    return shape[1]


def _parse(cells: Sequence[str], date_format: str, where: str) -> DateArray:
    try:
        stamps = pd.to_datetime(pd.Series(cells, dtype=object), format=date_format, errors="coerce")
    except ValueError as error:
        raise ValueError(f"{where}: date_format='{date_format}' does not read dates ({error}); correct it") from None
    days = np.asarray(stamps.dt.tz_localize(None).to_numpy()).astype("datetime64[D]")
    years = stamps.dt.year.to_numpy()
    days[~((years >= YEARS[0]) & (years <= YEARS[1]))] = np.datetime64("NaT")
    return days


def _typed_dates(column: Any, place: Place) -> DateArray:
    stamps = column.to_pandas()
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        stamps = stamps.dt.tz_localize(None)  # the day as the exchange's clock shows it
    exact = np.asarray(stamps.to_numpy(), dtype="datetime64[us]")
    days = exact.astype("datetime64[D]")
    wrong = np.isnat(days) | (days.astype("datetime64[us]") != exact)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{place(row)}: column 'date' holds {exact[row]}, expected a day without a time")
    return days


def _choose(read: Mapping[str, DateArray], symbols: Sequence[str] | AnyArray) -> str | None:
    """Returns the format that the evidence of all rows names, or None.

    One damaged cell must not decide: a format that fails on a few cells only stays a rival of one that reads them all,
    and then the order of the rows has to tell.
    """
    share = {fmt: 1.0 - float(np.isnat(days).mean()) for fmt, days in read.items()}
    rivals = [fmt for fmt in read if share[fmt] >= 0.5]
    if len(rivals) < 2:
        return max(share, key=lambda fmt: share[fmt])
    ordered = [fmt for fmt in rivals if _in_order(read[fmt], symbols)]
    if len(ordered) == 1:
        return ordered[0]
    best, second = sorted(rivals, key=lambda fmt: share[fmt], reverse=True)[:2]
    return best if share[best] == 1.0 and share[second] < 0.9 else None


def _in_order(days: DateArray, symbols: Sequence[str] | AnyArray) -> bool:
    """Returns whether the readable days of every symbol run in one direction, and are enough to be evidence."""
    groups = pd.factorize(np.asarray(symbols, dtype=object))[0]
    order = np.argsort(groups, kind="stable")
    order = order[~np.isnat(days[order])]
    same = groups[order][1:] == groups[order][:-1]
    steps = np.diff(days[order].astype(np.int64))[same]
    return len(steps) + 1 >= EVIDENCE_DAYS and bool((steps >= 0).all() or (steps <= 0).all())


def _first(codes: AnyArray, wrong: BoolArray) -> int:
    """Returns the first row whose cell is among the wrong ones."""
    return int(np.flatnonzero(wrong[codes])[0])
