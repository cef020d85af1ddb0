"""Small tables in the layouts of the wild, random damage to them, and what then stands in which cell.

`standing` reads a file as a person would, who knows its layout and looks at one line at a time; it shares nothing with
the loader. Where it finds several numbers for one cell (a repeated row), each of them stands there.
"""

import csv
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import numpy as np

Grid = list[list[str]]
Key = tuple[date, str, str]
DAYS = [day.astype(object) for day in np.arange(np.datetime64("2017-01-02"), np.datetime64("2017-03-01"))]
DAYS = [day for day in DAYS if day.weekday() < 5]
WORDS = {
    "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume", "adj close": "adj_close",
    "开盘价": "open", "最高价": "high", "最低价": "low", "收盘价": "close", "成交量": "volume",
}  # fmt: skip
SYMBOLS = ("name", "code", "股票代码")
ODD = (
    "", "nan", "NaN", "None", "null", "inf", "-inf", "Infinity", "-12.5", "0", "1e308", "1e309", "9" * 40, "abc",
    "1,084.50", "1.084,50", "12,5", "1,084", "12%", "0x1F", "1_000", "١٢", "１２", "∞", " 12.5 ", "+12.5", "1e3", "--",
    "$12.50", "(12.5)", "12.5-", "=12.5", "1 084.50", "1'084.50", "12.5.1", "1,0,8", "1084.", ".5", "-0", "12K", "1;2",
    '1"2', "12\t", "真", "\x00",
)  # fmt: skip
"""What a cell may hold instead of its number."""


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes:
        name: Name of the layout.
        grid: Its cells, header lines included.
        header: Number of header lines.
        dates: How its days are written, as in `strptime`.
        encoding: Of its bytes.
        quoted: Whether every cell stands in quotes.
        columns: What the loader must be told of them.
        fields: Fields by position where there is no header.
        stem: Symbol where no column names one: the name of the file.
    """

    name: str
    grid: Grid
    header: int = 1
    dates: str = "%Y-%m-%d"
    encoding: str = "utf-8"
    quoted: bool = False
    columns: tuple[tuple[int, str], ...] = ()
    stem: str = "STEM"
    fields: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Damaged:
    """A layout after damage: its bytes, and how a person reads them now."""

    layout: Layout
    content: bytes
    encoding: str
    delimiter: str
    decimal: str
    told: tuple[str, ...]


def bar(symbol: int, day: int) -> dict[str, str]:
    """Returns the cells of one bar; no two prices of a table are alike."""
    base = 100 + 37.5 * symbol + 1.25 * day
    prices = {"open": base + 0.11, "high": base + 1.87, "low": base - 1.43, "close": base + 0.52}
    return {name: f"{value:.2f}" for name, value in prices.items()} | {"volume": str(1_000_000 + 1000 * day + symbol)}


def layouts() -> dict[str, Layout]:
    """Returns one small table of each layout."""
    ohlcv = ("open", "high", "low", "close", "volume")
    yf = ("close", "high", "low", "open", "volume")
    iso = [day.isoformat() for day in DAYS]
    rows = [[bar(0, k)[name] for name in ohlcv] for k in range(len(DAYS))]
    yfinance = [["Price", *(name.title() for name in yf)], ["Ticker", *["AAA"] * 5], ["Date", *[""] * 5]]
    yfinance += [[day, *(bar(0, k)[name] for name in yf)] for k, day in enumerate(iso)]
    nse = [
        [day.strftime("%d%m%y"), *rows[k][:4], f"{1e9 + k:.2f}", rows[k][4], str(30000 + k)]
        for k, day in enumerate(DAYS)
    ]
    head = ["日期", "股票代码", "名称", "收盘价", "最高价", "最低价", "开盘价", "前收盘", "涨跌额", "成交量", "总市值"]
    index = [
        [day, "'AAA", "沪深300", *(bar(0, k)[n] for n in ("close", "high", "low", "open")), "1.5" if k else "None",
         "0.5", bar(0, k)["volume"], ""]
        for k, day in enumerate(iso)
    ][::-1]  # fmt: skip
    wide = [["date", "AAA", "BBB", "CCC"]]
    wide += [[day, *(bar(n, k)["close"] if k >= 9 * n else "" for n in range(3))] for k, day in enumerate(iso)]
    long = [["Date", "Open", "High", "Low", "Close", "Volume", "Name"]]
    for n, name in enumerate(("AAA", "BBB")):
        for k, day in enumerate(iso):
            cells = [bar(n, k)[c] for c in ohlcv]
            long.append([day, *(["", *cells[1:]] if k == 7 else cells), name])
    baostock = [
        ["date", "code", *ohlcv[:4], "preclose", "volume", "amount", "adjustflag", "turn", "tradestatus", "isST"]
    ]
    for k, day in enumerate(iso):
        held = 10 <= k < 14
        cells = [rows[9][3]] * 4 if held else rows[k][:4]
        volume, turn = ("0", "") if held else (rows[k][4], "0.5")
        baostock.append([day, "sh.600519", *cells, cells[3], volume, "", "2", turn, str(int(not held)), "0"])
    places = {1: "open", 2: "high", 3: "low", 4: "close", 6: "volume"}
    named = ((0, "date"), *places.items(), (5, "amount"), (7, "trades"))
    error = [["{"], ['    "Error Message": "the parameter apikey is invalid or missing"'], ["}"]]
    return {
        "yfinance, three header lines": Layout("yfinance", yfinance, header=3),
        "NSE, headerless, quoted, ddMMyy": Layout("nse", nse, 0, "%d%m%y", quoted=True, columns=named, fields=places),
        "index, GBK, newest first": Layout("index", [head, *index], encoding="gbk"),
        "wide, adjusted closes": Layout("wide", wide),
        "long, empty cells": Layout("long", long),
        "baostock, suspended days": Layout("baostock", baostock),
        "an API's error saved as a table": Layout("error", error),
    }


def damage(layout: Layout, seed: int) -> Damaged:
    """Returns a layout after one to three kinds of damage, decided by `seed`."""
    chance = random.Random(seed)
    grid, told = [list(row) for row in layout.grid], []
    for _ in range(chance.randint(0, 2)):
        change = chance.choice(CHANGES)
        told.append(change.__name__)
        change(grid, layout.header, chance)
    delimiter, decimal, quoted, encoding, ending = ",", ".", layout.quoted, layout.encoding, "\n"
    kind = chance.choice(("", "", "delimiter", "decimal", "quotes", "encoding", "ending"))
    if kind == "delimiter":
        delimiter = chance.choice(";\t|")
    elif kind == "decimal":
        decimal, delimiter, quoted = ",", chance.choice(",;"), True
        grid = grid[: layout.header] + [
            [re.sub(r"^(-?\d+)\.(\d+)$", r"\1,\2", cell) for cell in row] for row in grid[layout.header :]
        ]
    elif kind == "quotes":
        quoted = not quoted
    elif kind == "encoding":
        encoding = chance.choice(("utf-8", "utf-8-sig", "utf-16", "gbk"))
    elif kind == "ending":
        ending = chance.choice(("\r\n", "\r"))
    text = ending.join(written(row, delimiter, quoted) for row in grid) + ending
    content = text.encode(encoding, errors="replace")
    if chance.random() < 0.5:
        blow = chance.choice(BLOWS)
        told.append(blow.__name__)
        content = blow(content, chance)
    return Damaged(layout, content, encoding, delimiter, decimal, (*told, kind))


def written(row: list[str], delimiter: str, quoted: bool) -> str:
    """Returns a row as a line of CSV."""
    needs = [quoted or any(mark in cell for mark in (delimiter, '"', "\n")) for cell in row]
    cells = ['"' + cell.replace('"', '""') + '"' if need else cell for cell, need in zip(row, needs, strict=True)]
    return delimiter.join(cells)


def drop_rows(grid: Grid, header: int, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        if len(grid) > 1:
            grid.pop(chance.randrange(len(grid)))


def repeat_rows(grid: Grid, header: int, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        row = list(chance.choice(grid))
        if chance.random() < 0.5:
            row[chance.randrange(len(row))] = f"{chance.uniform(1, 900):.2f}"
        grid.insert(chance.randrange(header, len(grid) + 1) if len(grid) > header else len(grid), row)


def shuffle_rows(grid: Grid, header: int, chance: random.Random) -> None:
    body = grid[header:]
    body.reverse() if chance.random() < 0.4 else chance.shuffle(body)
    grid[header:] = body


def drop_column(grid: Grid, header: int, chance: random.Random) -> None:
    column = chance.randrange(max(len(row) for row in grid))
    for row in grid:
        del row[column : column + 1]
        row.extend([] if row else [""])


def repeat_column(grid: Grid, header: int, chance: random.Random) -> None:
    column, place = chance.randrange(len(grid[0])), chance.randrange(len(grid[0]) + 1)
    for row in grid:
        row.insert(place, row[min(column, len(row) - 1)])


def swap_columns(grid: Grid, header: int, chance: random.Random) -> None:
    width = min(len(row) for row in grid)
    one, other = chance.randrange(width), chance.randrange(width)
    for row in grid:
        row[one], row[other] = row[other], row[one]


def swap_cells(grid: Grid, header: int, chance: random.Random) -> None:
    """Swaps cells of a column between lines: dates as well as prices."""
    for _ in range(chance.randint(1, 3)):
        one, other = (chance.choice(grid[header:] or grid) for _ in range(2))
        column = chance.choice((0, chance.randrange(len(one))))
        if column < min(len(one), len(other)):
            one[column], other[column] = other[column], one[column]


def odd_cells(grid: Grid, header: int, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 30))):
        row = chance.choice(grid[header:] or grid)
        row[chance.randrange(len(row))] = chance.choice(ODD)


def odd_column(grid: Grid, header: int, chance: random.Random) -> None:
    column, odd = chance.randrange(len(grid[0])), chance.choice(ODD)
    for row in grid[header:]:
        if column < len(row) and chance.random() < 0.9:
            row[column] = odd


def odd_header(grid: Grid, header: int, chance: random.Random) -> None:
    row = chance.choice(grid[: max(1, header)])
    row[chance.randrange(len(row))] = chance.choice(
        ("", "Close", "close", "Date", "Adj Close", "high", "X", "Unnamed: 0", "名称")
    )


CHANGES: tuple[Callable[[Grid, int, random.Random], None], ...] = (
    drop_rows, repeat_rows, shuffle_rows, drop_column, repeat_column, swap_columns, swap_cells, odd_cells, odd_cells,
    odd_column, odd_header,
)  # fmt: skip


def flip_bits(content: bytes, chance: random.Random) -> bytes:
    altered = bytearray(content)
    for _ in range(chance.choice((1, 1, 3))):
        altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def cut_short(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def lose_bytes(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randint(1, 40) :]


def gain_bytes(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    more = chance.choice(
        (b"\n\n", b'"', b",", b"\0", b"\xff\xfe", bytes(chance.randrange(256) for _ in range(6)), b"1")
    )
    return content[:start] + more + content[start:]


def begin_with_a_note(content: bytes, chance: random.Random) -> bytes:
    return (
        chance.choice((b"# downloaded from somewhere\n", b"\n\n", b"sep=,\n", b"<html>\n", b"\xef\xbb\xbf")) + content
    )


def come_twice(content: bytes, chance: random.Random) -> bytes:
    return content + content


BLOWS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits, flip_bits, cut_short, lose_bytes, gain_bytes, begin_with_a_note, come_twice,
)  # fmt: skip


def standing(damaged: Damaged) -> dict[Key, set[float]]:
    """Returns the numbers that stand in the cells of the damaged file, by day, symbol and field."""
    found = dict[Key, set[float]]()
    for encoding in dict.fromkeys(
        (damaged.encoding, "utf-8", "gbk", "latin-1")
    ):  # damage may change what it looks like
        for key, numbers in _standing(damaged, encoding).items():
            found.setdefault(key, set()).update(numbers)
    return found


def _standing(damaged: Damaged, encoding: str) -> dict[Key, set[float]]:
    layout, found = damaged.layout, dict[Key, set[float]]()
    text = damaged.content.decode(encoding, errors="replace").replace("\ufeff", "")
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    rows = [next(csv.reader([line.replace("\0", "\ufffd")], delimiter=damaged.delimiter)) for line in lines]
    top = [[cell.strip().strip("'\"").lower() for cell in row] for row in rows[:3]]
    for row in rows:
        days = {k: day for k, day in ((k, _day(cell, layout)) for k, cell in enumerate(row)) if day is not None}
        for column, cell in enumerate(row):
            for symbol, name in _meanings(layout, top, rows, row, column):
                for number in _numbers(cell, damaged.decimal):
                    for place, day in days.items():
                        if place != column:
                            found.setdefault((day, symbol, name), set()).add(number)
    return found


def _day(cell: str, layout: Layout) -> date | None:
    plain = re.sub(r"[ T]00:00(:00)?$", "", cell.strip())
    try:
        return datetime.strptime(plain, layout.dates).date()
    except ValueError:
        return None


def _meanings(layout: Layout, top: Grid, rows: Grid, row: list[str], column: int) -> list[tuple[str, str]]:
    """Returns what a cell in this row and column may be: pairs of a symbol and a field."""
    if layout.fields:
        return [(layout.stem, layout.fields[column])] if column in layout.fields else []
    head = top[0][column] if column < len(top[0]) else ""
    fields = [WORDS[line[column]] for line in top if column < len(line) and line[column] in WORDS]
    if layout.name == "yfinance":
        symbols = [rows[k][column].strip() for k in range(min(3, len(rows))) if column < len(rows[k])]
        return [(symbol, name) for name in fields for symbol in (*symbols, layout.stem)]
    if layout.name == "wide":
        return [
            (rows[0][column].strip() if column < len(rows[0]) else "", "close"),
            *((layout.stem, f) for f in fields),
        ]
    places = [k for k, cell in enumerate(top[0]) if cell in SYMBOLS]
    blank = [k for k, cell in enumerate(top[0]) if not cell or cell.startswith("unnamed")]  # an index without a name
    named = [row[k].strip() for k in blank if k < len(row) and re.search("[A-Za-z]", row[k])]
    symbols = [row[k].strip().lstrip("'") for k in places if k < len(row)] or named
    return [(symbol, WORDS[head]) for symbol in (*symbols, layout.stem) if head in WORDS]


def _numbers(cell: str, decimal: str) -> list[float]:
    """Returns the readings of a cell that a careful person would accept."""
    text = re.sub(r"^([+-]?)[$€£¥₹]\s*", r"\1", cell.strip())
    if decimal == ",":
        text = text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d+", text) else text
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text):
        text = text.replace(",", "")
    scale = {"K": 1e3, "M": 1e6, "B": 1e9}.get(text[-1:], 1.0)
    text = text[:-1] if scale != 1.0 else text
    return [float(text) * scale] if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) else []


def of_file(layout: Layout, content: bytes) -> Layout:
    """Returns the layout of a real file of that kind, to be damaged in the same ways."""
    text = content.decode(layout.encoding)
    return replace(layout, grid=[next(csv.reader([line])) for line in text.splitlines() if line.strip()])
