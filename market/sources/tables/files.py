"""A file as a sheet of cells: bytes decoded, rows counted, nothing interpreted yet."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from market.calendar import parse_day
from market.sources.tables.column_names import LEVEL_FIELDS, is_index, meaning
from market.sources.tables.values import as_text, looks_like_date

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt")
PACKED = tuple(f"{table}{packer}" for table in TEXT + PARQUET for packer in (".gz", ".bz2", ".xz", ".zst", ".zip"))
WORKBOOKS = (".xlsx", ".xls")
_MESSAGE = re.compile(
    r"\s*(\{|\[|<[!?]|<html)", re.IGNORECASE
)  # JSON, HTML or XML; stooq's header starts with <TICKER>
NUMBER = re.compile(r"[-+]?[0-9.,]*")
_DAY_NAME = re.compile(r"((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)")  # the year first, which leaves no doubt
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Sheet:
    """Columns of equally many cells, text from CSV or typed from Parquet, and where they stand in the file.

    Attributes:
        path: The file.
        levels: Header lines; one normally, two where yfinance writes fields above tickers. Empty cells where a
            CSV has no header.
        columns: One pyarrow array per column.
        lines: The line of every row in the file, from 1, or None for Parquet, whose rows are counted from 0.
    """

    path: Path
    levels: tuple[tuple[str, ...], ...]
    columns: tuple[Any, ...]
    lines: Sequence[int] | None

    @property
    def header(self) -> tuple[str, ...]:
        """The first header line."""
        return self.levels[0]

    def place(self, row: int) -> str:
        """Returns the name of a row for messages."""
        return f"{self.path}, row {row}" if self.lines is None else f"{self.path}, line {self.lines[row]}"


def refuse_packed(folder: Path) -> None:
    """Refuses a folder with tables that are packed or in workbooks, since leaving them out would leave out tickers.

    Raises:
        ValueError: There are such files.
    """
    found = sorted(p.name for p in folder.iterdir() if p.name[0] != "." and p.name.lower().endswith(PACKED + WORKBOOKS))
    if found:
        how = "unpack them" if found[0].lower().endswith(PACKED) else "save them as CSV"
        raise ValueError(f"{folder}: {len(found)} of its files cannot be read as they are ({found[0]}); {how}")


def read_sheet(path: Path, encoding: str | None, delimiter: str | None, headed: bool) -> Sheet:
    """Reads a CSV or Parquet file without interpreting its cells.

    Raises:
        ValueError: The file is not a table, cannot be decoded, or has a row of another length than its header.
    """
    if path.suffix.lower() in PARQUET:
        return _read_parquet(path)
    text = _decode(path, encoding)
    numbered = [(k, line) for k, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1)]
    numbered = [(k, line) for k, line in numbered if line.strip()]
    if not numbered:
        raise ValueError(f"{path}: the file is empty; download it again or remove it")
    lines = [line for _, line in numbered]
    if _MESSAGE.match(lines[0]):
        message = " ".join(line.strip() for line in lines)[:80]
        raise ValueError(f"{path}: this is an API error message, not a table ({message}); download it again")
    delimiter = delimiter or _guess_delimiter(lines[0], path)
    levels, start = _header(lines, delimiter, headed, path)
    rows = _split(lines[start:], [k for k, _ in numbered[start:]], delimiter, len(levels[0]), path)
    if len(levels) == 2 and _is_numbered(*levels):
        levels, rows = tuple(level[1:] for level in levels), rows[1:]
    return Sheet(path, levels, rows, [k for k, _ in numbered[start:]])


def dated_by_name(sheet: Sheet) -> Sheet:
    """Returns a sheet of symbols without dates, as a file a day has, with the day that is the file's name."""
    known = [meaning(cell) for cell in sheet.header]
    named = _DAY_NAME.fullmatch(sheet.path.stem)
    day = parse_day("-".join(named.group(1, 3, 4))) if named else None
    if "symbol" not in known or "date" in known or day is None:
        return sheet
    days = pa.array([day] * len(sheet.columns[0]))
    return replace(sheet, levels=((*sheet.header, "date"),), columns=(*sheet.columns, days))


def symbols_by_index(sheet: Sheet) -> Sheet:
    """Returns a sheet whose symbols stand in a column without a name with that column, and its dates, named.

    `pd.concat` of a dictionary of frames and `stack` of one frame leave an index of symbols without a name.
    """
    known = [meaning(cell) for cell in sheet.header]
    unnamed = [k for k, cell in enumerate(sheet.header) if is_index(cell)]
    held = {k: set(pc.unique(as_text(sheet.columns[k])).to_pylist()) - {""} for k in unnamed}
    symbols = [k for k, cells in held.items() if _are_names(cells)]
    if len(sheet.levels) > 1 or len(symbols) != 1 or "symbol" in known or len(unnamed) == len(known):
        return sheet
    dates = [k for k, cells in held.items() if cells and all(map(looks_like_date, cells))]
    named = {symbols[0]: "symbol"} | ({} if "date" in known else dict.fromkeys(dates[:1], "date"))
    return replace(sheet, levels=(tuple(named.get(k, cell) for k, cell in enumerate(sheet.header)),))


def _are_names(cells: set[str]) -> bool:
    """Tells cells of symbols from numbers of rows and from days; 000001 is a name, 1 is not."""
    numbers = all(NUMBER.fullmatch(cell) and not re.match("0[0-9]", cell) for cell in cells)
    return not numbers and not all(map(looks_like_date, cells))


def _read_parquet(path: Path) -> Sheet:
    try:
        table = pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a readable Parquet file ({reason}); write it again") from None
    if not table.num_rows:
        raise ValueError(f"{path}: the table has no rows; write it again or remove it")
    header = tuple("" if name.startswith("__index_level_") else name for name in table.column_names)
    order = sorted(range(len(header)), key=lambda k: header[k] != "")  # an unnamed index is stored last
    columns = tuple(table.column(k).combine_chunks() for k in order)
    return Sheet(path, (tuple(header[k] for k in order),), columns, None)


def _decode(path: Path, encoding: str | None) -> str:
    """Decodes strictly: the named encoding, or UTF-16 by its mark, UTF-8, GBK where the header says so, Latin-1."""
    data = path.read_bytes()
    if encoding is not None:
        try:
            return data.decode(encoding)
        except LookupError:
            raise ValueError(f"{path}: encoding='{encoding}' is unknown; use utf-8, gbk, latin-1, ...") from None
        except UnicodeError as error:
            raise ValueError(f"{path}: not text in encoding '{encoding}' ({error}); correct encoding") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _decode(path, "utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        return data.decode("latin-1")
    head = text.split("\n", 1)[0]
    cells = [cell for mark in DELIMITERS for cell in head.split(mark)]
    return text if any(not cell.isascii() and meaning(cell) for cell in cells) else data.decode("latin-1")


def _cells(line: str, delimiter: str, path: Path) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter)))
    except csv.Error as error:
        raise ValueError(f"{path}: the header cannot be split into cells ({error}); correct it") from None


def _guess_delimiter(line: str, path: Path) -> str:
    counts = {mark: len(_cells(line, mark, path)) for mark in DELIMITERS}
    best = max(counts.values())
    found = [mark for mark, count in counts.items() if count == best]
    if best == 1:
        raise ValueError(f"{path}: not a table, line 1 has a single cell ({line.strip()[:60]}); download it again")
    if len(found) > 1:
        raise ValueError(f"{path}: line 1 splits equally by {' and '.join(map(repr, found))}; say which with delimiter")
    return found[0]


def _header(lines: list[str], delimiter: str, headed: bool, path: Path) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Returns the header levels and the number of lines they take."""
    top = [_cells(line, delimiter, path) for line in lines[:1]]
    if not headed:
        return (("",) * len(top[0]),), 0
    if looks_like_date(top[0][0]):
        raise ValueError(
            f"{path}: line 1 is a row of data ({lines[0].strip()[:40]}...), there is no header; name the columns by "
            "position, columns=((0, 'date'), (1, 'open'), ...)"
        )
    for depth in (1, 2):
        # The index name stands alone below the levels: yfinance's "Price,Close,..", "Ticker,TSLA,..", "Date,,".
        name, _, rest = lines[depth].partition(delimiter) if depth < len(lines) else ("", "", "x")
        if meaning(name) == "date" and not rest.strip(delimiter + " "):
            levels = [_cells(line, delimiter, path) for line in lines[:depth]]
            if len({len(level) for level in levels}) > 1:
                raise ValueError(f"{path}: the header lines have {[len(v) for v in levels]} cells; correct them")
            return tuple((name, *level[1:]) for level in levels), depth + 1
    if len(lines) > 1:  # the same two levels of a frame whose index has no name
        below = _cells(lines[1], delimiter, path)
        skipped = int(_is_numbered(top[0], below))
        if len(below) == len(top[0]) > 2 and _are_levels(top[0][skipped:], below[skipped:]):
            return (top[0], below), 2
    return (top[0],), 1


def _are_levels(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tells whether two lines are fields above tickers or tickers above fields, and no header above a row of data."""
    prices = [all(meaning(cell) in LEVEL_FIELDS for cell in level[1:]) for level in (first, second)]
    named = not looks_like_date(second[0]) and not any(NUMBER.fullmatch(cell.strip()) for cell in second[1:])
    return named and any(prices) and not all(prices)


def _is_numbered(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tells whether two header levels stand above numbered rows: the date is a column, as after reset_index."""
    return meaning(first[0]) != "date" and len(second) > 1 and meaning(first[1]) == "date" and is_index(second[1])


def _split(lines: list[str], numbers: list[int], delimiter: str, width: int, path: Path) -> tuple[Any, ...]:
    """Splits rows into columns of text; every row must have exactly `width` cells."""
    if not lines:
        raise ValueError(f"{path}: there is a header but no row of data; download it again or remove it")
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    names = [str(k) for k in range(width)]
    content = "\n".join(lines).encode()
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(content),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=max(1 << 16, len(content) + 1)
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise ValueError(f"{path}: not readable as CSV ({' '.join(str(error).split())}); correct the file") from None
    if ragged:
        row = ragged[0]
        raise ValueError(
            f"{path}, line {numbers[row.number - 1]}: {row.actual_columns} cells, expected {width} as in line 1 "
            f"({len(ragged)} such rows); correct the file or download it again"
        )
    if table.num_rows != len(lines):
        raise ValueError(f"{path}: a quoted cell runs over several lines; remove the stray quote")
    return tuple(column.combine_chunks() for column in table.columns)
