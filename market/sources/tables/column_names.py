"""Column names as vendors spell them, and the one name each has here."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType

TRADE_STATUS = "trade_status"
PRICE_FIELDS = ("open", "high", "low", "close", "adj_close", "volume")

SPELLINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "date": ("datetime", "timestamp", "day", "trade_date", "trading_date", "日期", "交易日期"),
        "symbol": ("ticker", "code", "tic", "ts_code", "instrument", "act_symbol", "stock_code", "股票代码", "代码"),
        "open": ("open_price", "opening_price", "开盘价", "开盘"),
        "high": ("high_price", "最高价", "最高"),
        "low": ("low_price", "最低价", "最低"),
        "close": ("close_price", "closing_price", "close_last", "收盘价", "收盘"),
        "adj_close": ("adjclose", "adjusted_close", "adj_closing_price", "adj_close_price", "close_adj"),
        "volume": ("vol", "tottrdqty", "成交量"),
        "amount": ("turnover_value", "traded_value", "tottrdval", "成交金额", "成交额"),
        "split": ("splits", "stock_splits", "split_coefficient", "split_ratio", "split_factor"),
        "dividend": ("dividends", "dividend_amount", "cash_dividend"),
        "factor": ("adj_factor", "adjust_factor", "back_adjust_factor"),
        "turn": ("turnover_rate", "换手率"),
        "preclose": ("pre_close", "prev_close", "previous_close", "前收盘", "昨收"),
        "change": ("涨跌额",),
        "pct_change": ("pct_chg", "pctchg", "涨跌幅"),
        "market_cap": ("总市值",),
        "float_market_cap": ("流通市值",),
        "currency": ("ccy", "币种", "货币"),
        TRADE_STATUS: ("tradestatus", "交易状态"),
        "is_st": ("isst",),
    }
)
"""Our name of a field and the spellings of vendors, after `snake_case`."""

SYMBOL_LIKE = ("name", "asset", "stock")
"""Names that mean the symbol where no column says so more plainly (Kaggle); elsewhere they hold a company's name."""

LEVEL_FIELDS = (*PRICE_FIELDS, "split", "dividend")
_TUPLE = re.compile(r"""\((['"])(.+?)\1, ?(['"])(.+?)\3\)""")
_INDEX = re.compile("unnamed_[0-9]+|level_[01]|index_level_[0-9]+")  # pandas' names for an index that became a column
_SEPARATORS = re.compile(r"([_. |:/-])")
_MEANING = {spelling: name for name, spellings in SPELLINGS.items() for spelling in (name, *spellings)}


def snake_case(header: str) -> str:
    """Returns a header cell in lower case with underscores and without Alpha Vantage's numbers (``1. open``)."""
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header.strip().strip("'\"").strip())
    spelled = re.sub(r"^[0-9]+[a-z]?\.\s*", "", spelled.lower())
    return re.sub(r"[^\w]+|_+", "_", spelled).strip("_")


def meaning(header: str) -> str | None:
    """Returns our name of the field that a header cell spells, or None where it spells none of ours."""
    return _MEANING.get(snake_case(header))


def assign_fields(header: Sequence[str], columns: Sequence[tuple[str | int, str]], place: str) -> dict[str, int]:
    """Returns the position of every field of a table with this header.

    Columns that `columns` names are taken at its word (an empty name leaves a column out), the others by their
    spelling; what is not one of ours keeps its own name in snake case.

    Args:
        header: The header cells; empty strings where there is no header.
        columns: Pairs of a header cell, or a position from 0, and our name of the field.
        place: Where the header stands, for messages.

    Raises:
        ValueError: `columns` names what is not there, or two columns have the same meaning.
    """
    explicit = {_position(column, header, place): name for column, name in columns}
    fields: dict[str, int] = {}
    _refuse_lost_level(header, place)
    for k, cell in enumerate(header):
        name = explicit.get(k, meaning(cell) or snake_case(cell))
        if not name or _INDEX.fullmatch(name):
            continue
        if name in fields:
            first, second = _label(fields[name], header), _label(k, header)
            raise ValueError(
                f"{place}: {first} and {second} both mean '{name}'; leave one out with columns=(({second}, ''),)"
            )
        fields[name] = k
    if "symbol" not in fields:
        weak = next((name for name in SYMBOL_LIKE if name in fields), None)
        if weak is not None:
            fields["symbol"] = fields.pop(weak)
    if "date" not in fields and header and is_index(header[0]) and 0 not in explicit and any(header):
        fields["date"] = 0  # a frame written with its unnamed index
    return fields


def _refuse_lost_level(header: Sequence[str], place: str) -> None:
    """Refuses a header of several symbols whose names are lost; leaving out what stands twice would mix them."""
    named = [name for name in map(meaning, header) if name in LEVEL_FIELDS]
    twice = {name for name in named if named.count(name) > 1}
    if len(twice) > 1:
        raise ValueError(
            f"{place}: {len(twice)} fields, {', '.join(sorted(twice))}, stand more than once in the header, as in a "
            "frame of several symbols without the line that names them; save frame.stack(level='Ticker') instead"
        )


def is_index(cell: str) -> bool:
    """Tells whether a header cell is what pandas writes above an index without a name."""
    return not cell.strip() or _INDEX.fullmatch(snake_case(cell)) is not None


def paired_levels(
    header: Sequence[str], place: str, wide: bool
) -> tuple[tuple[str, ...], tuple[str, ...], list[int]] | None:
    """Returns the fields, the symbols and the columns of a header that names both in every cell.

    Frames of yfinance have two header levels, which files keep as ``('Close', 'AAPL')``, ``Close_AAPL`` or
    ``AAPL_Close``. None where cells name no price; the first column returned is the date, which fields and symbols
    leave out, as they do the numbers of a second index.

    Args:
        header: The cells.
        place: Where the header stands, for messages.
        wide: The user says that every column holds the closes of one symbol.

    Raises:
        ValueError: Most cells name a price and a symbol, but others do not, or a symbol has no closes: read as a wide
            table, volumes would be taken for closes.
    """
    cells = [_unpacked(cell) for cell in header]
    dates = [k for k, cell in enumerate(cells) if meaning(cell) == "date"]
    numbers = [k for k, cell in enumerate(cells) if is_index(cell)]
    first, kept = (dates or numbers)[:1], [k for k in range(len(cells)) if k not in (*dates, *numbers)]
    for order in (1, -1):  # the field first, or last
        pairs = [_pair(cells[k], order) for k in kept]
        known = [pair for pair in pairs if pair is not None]
        if len(dates) < 2 and 2 * len(known) > max(len(pairs), 2) and _share_symbols(known):
            if not first:
                raise ValueError(f"{place}: no column holds the date; save the frame with its index")
            _refuse_halves([cells[k] for k in kept], pairs, place)
            return tuple(field for field, _ in known), tuple(symbol for _, symbol in known), [*first, *kept]
    if not wide and (glued := _glued(cells)):
        raise ValueError(
            f"{place}: {glued} look like a price and a symbol in one word; write them apart, as Close_AAPL, or "
            "say layout='wide' if every column is the closes of one symbol"
        )
    return None


def _share_symbols(pairs: Sequence[tuple[str, str]]) -> bool:
    """Tells apart fields of symbols from tickers that happen to be spelled like a field, as LOW.AX and OPEN.DE."""
    fields = {meaning(field) for field, _ in pairs}
    return len({symbol for _, symbol in pairs}) < len(pairs) or len(fields) == 1


def _refuse_halves(cells: Sequence[str], pairs: Sequence[tuple[str, str] | None], place: str) -> None:
    strange = [cell for cell, pair in zip(cells, pairs, strict=True) if pair is None]
    known = [pair for pair in pairs if pair is not None]
    if strange:
        raise ValueError(
            f"{place}: the other columns name a price and a symbol, as {known[0][0]} of {known[0][1]}, but "
            f"'{strange[0]}' does not ({len(strange)} such columns); rename or remove it"
        )
    twice = next((pair for k, pair in enumerate(known) if pair in known[:k]), None)
    if twice:
        raise ValueError(f"{place}: {twice[0]} of {twice[1]} stands twice in the header; remove one of them")
    closes = {symbol for field, symbol in known if meaning(field) == "close"}
    lacking = sorted({symbol for _, symbol in known} - closes)
    if lacking:
        raise ValueError(
            f"{place}: {len(lacking)} symbols, first {lacking[0]}, have columns but no closes; add or rename them"
        )


def _glued(cells: Sequence[str]) -> str | None:
    """Returns the cells of a header that joins fields and symbols without a separator, or None."""
    fields: dict[str, dict[str, str]] = {}
    for cell in cells:
        word = re.sub(r"[^a-z0-9]", "", cell.lower())
        for field in (*LEVEL_FIELDS, "vol"):
            name = field.replace("_", "")
            rest = word.removeprefix(name) if word.startswith(name) else word.removesuffix(name)
            if rest and rest != word:
                fields.setdefault(rest, {}).setdefault(field, cell)
    shared = [named for named in fields.values() if len(named) > 1]
    count = sum(map(len, shared))
    return ", ".join(f"'{cell}'" for cell in list(shared[0].values())[:3]) if 2 * count > len(cells) else None


def _unpacked(cell: str) -> str:
    """Returns the name in the cell of a date or index that pandas wrote as ``('Date', '')``."""
    written = re.fullmatch(r"""\((['"])(.*?)\1, ?(['"])\3\)""", cell.strip())
    return written[2] if written else cell


def _pair(cell: str, order: int) -> tuple[str, str] | None:
    """Returns field and symbol of one cell; `order` is 1 where the field stands first, else -1."""
    written = _TUPLE.fullmatch(cell.strip())
    if written:
        parts = (written[2], written[4])[::order]
        return (parts[0], parts[1]) if meaning(parts[0]) in LEVEL_FIELDS else None
    words = _SEPARATORS.split(cell.strip())  # separators stand between
    for cut in range(len(words) - 2, 0, -2) if order == 1 else range(1, len(words) - 1, 2):
        parts = ("".join(words[:cut]), "".join(words[cut + 1 :]))[::order]
        if meaning(parts[0]) in LEVEL_FIELDS and parts[1]:
            return parts[0], parts[1]
    return None


def _position(column: str | int, header: Sequence[str], place: str) -> int:
    if isinstance(column, int):
        if not 0 <= column < len(header):
            raise ValueError(
                f"{place}: columns names position {column}, but there are {len(header)} columns, counted from 0"
            )
        return column
    found = [k for k, cell in enumerate(header) if cell.strip() == column.strip()]
    if not found and column.isdigit():  # what a command line makes of a position
        return _position(int(column), header, place)
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{place}: column '{column}' stands {len(found)} times; name it by its position from 0")
    near = get_close_matches(column, header, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"the header is {', '.join(header[:12])}"
    raise ValueError(f"{place}: columns names '{column}', which is not in the header; {hint}")


def _label(position: int, header: Sequence[str]) -> str:
    return f"'{header[position].strip()}'" if header[position].strip() else f"{position}"
