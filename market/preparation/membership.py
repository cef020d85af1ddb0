"""Who belongs to the market, and what can be traded, as it was known on each day."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from market.arrays import BoolArray, DateArray
from market.panel import Panel
from market.preparation.quality.listings import ticker_of

FIRST_DAY, LAST_DAY = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")


def with_membership(panel: Panel, intervals: pd.DataFrame) -> Panel:
    """Returns the panel with assets listed only while they are members, of an index for example.

    An asset may join and leave several times. Membership decides what may be traded, not what is known: bars
    outside it stay in the values, and features have their history from before it joined. Every listing of a ticker that
    was cut into several is a member on its own days. Assets without an interval are never listed; intervals of other
    symbols are ignored.

    Args:
        panel: Any panel.
        intervals: Rows of ``symbol, start, end``, both days included; an empty start or end means always.

    Raises:
        ValueError: A column is missing, an interval ends before it starts, or no symbol is an asset of the panel.
    """
    for name in ("symbol", "start", "end"):
        if name not in intervals.columns:
            raise ValueError(f"membership: no column '{name}' among {list(map(str, intervals.columns))}; rename it")
    starts = _days(intervals["start"], FIRST_DAY)
    ends = _days(intervals["end"], LAST_DAY)
    symbols = intervals["symbol"].astype(str).to_numpy()
    wrong = np.flatnonzero(ends < starts)
    if len(wrong):
        k = wrong[0]
        raise ValueError(
            f"membership: {symbols[k]} ends on {ends[k]}, before it starts on {starts[k]}; correct the row"
        )
    columns: dict[str, list[int]] = {}
    for n, name in enumerate(panel.assets):
        columns.setdefault(ticker_of(panel, name), []).append(n)
    if not set(symbols) & set(columns):
        raise ValueError(
            f"membership: none of its symbols ({', '.join(symbols[:3])}, ...) is an asset of the panel "
            f"({', '.join(panel.assets[:3])}, ...); spell them alike"
        )
    member = np.zeros(panel.listed.shape, dtype=np.bool_)
    first, stop = np.searchsorted(panel.dates, starts), np.searchsorted(panel.dates, ends, side="right")
    for symbol, begin, end in zip(symbols, first, stop, strict=True):
        member[begin:end, columns.get(symbol, [])] = True
    return _narrowed(panel, member)


def check_members(panel: Panel, intervals: pd.DataFrame, accepted: bool) -> None:
    """Refuses a table that speaks of other symbols than the panel, which narrows nothing or everything unnoticed.

    Members without bars are usual, since collections forget who no longer exists; they are counted
    (`membership_coverage`). More of them than known ones, or one that is spelled like an asset which has no interval,
    say that table and panel write symbols differently.

    Args:
        panel: Any panel.
        intervals: Rows of ``symbol, start, end``; those that do not touch the days of the panel are no matter.
        accepted: Whether the user knows, and wants no refusal.

    Raises:
        ValueError: So it is, and not `accepted`.
    """
    starts, ends = _days(intervals["start"], FIRST_DAY), _days(intervals["end"], LAST_DAY)
    during = (starts <= panel.dates[-1]) & (ends >= panel.dates[0])
    symbols = set(intervals["symbol"].astype(str).to_numpy()[during])
    tickers = {ticker_of(panel, name) for name in panel.assets}
    unknown, lonely = sorted(symbols - tickers), {_core(name): name for name in sorted(tickers - symbols)}
    alike = [f"{name} for {lonely[_core(name)]}" for name in unknown if _core(name) in lonely]
    if accepted or not (alike or 2 * len(unknown) > len(symbols)):
        return
    told = f"spelled unlike its assets ({', '.join(alike[:3])})" if alike else "not among its assets"
    raise ValueError(
        f"membership: {len(alike) or len(unknown)} of {len(symbols)} symbols, first {', '.join(unknown[:3])}, that "
        f"were members during the days of the panel are {told}; spell both alike, or accept it with "
        "unknown_members='keep' (--rules.unknown-members keep)"
    )


def _core(symbol: str) -> str:
    """Returns what is left of a symbol without signs, exchange and leading zeros: 1 of 000001.SZ, BRKB of BRK-B."""
    number = re.fullmatch(r"(?:[A-Za-z]{2}\.?)?([0-9]+)(?:\.[A-Za-z]{1,4}|\.0)?", symbol)
    return (number[1] if number else re.sub("[^A-Z0-9]", "", symbol.upper())).lstrip("0")


def membership_coverage(panel: Panel, intervals: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Returns for every year of the panel the number of ``members`` and how many of them are ``without_bars`` all year.

    Members without a bar are the ones that a collection has forgotten, most often because they no longer exist: what is
    evaluated without them is evaluated on survivors.
    """
    starts, ends = _days(intervals["start"], FIRST_DAY), _days(intervals["end"], LAST_DAY)
    symbols = intervals["symbol"].astype(str).to_numpy()
    observed = np.isfinite(panel["close"])
    tickers = np.array([ticker_of(panel, name) for name in panel.assets], dtype=object)
    coverage: dict[str, dict[str, int]] = {}
    years = panel.dates.astype("datetime64[Y]")
    for year in np.unique(years):
        days = panel.dates[years == year]
        members = set(symbols[(starts <= days[-1]) & (ends >= days[0])])
        known = set(tickers[observed[years == year].any(axis=0)])
        if members:
            coverage[str(year)] = {"members": len(members), "without_bars": len(members - known)}
    return coverage


def with_halts(panel: Panel, halted: BoolArray) -> Panel:
    """Returns the panel with nothing to trade where `halted` ``[T, N]`` is true; what is listed stays listed.

    For a vendor's status field: ``with_halts(panel, panel["trade_status"] == 0)``.
    """
    if halted.shape != panel.tradable.shape:
        raise ValueError(f"halts: shape {halted.shape}, expected {panel.tradable.shape} days and assets")
    return replace(panel, tradable=panel.tradable & ~halted)


def with_minimum_history(panel: Panel, days: int) -> Panel:
    """Returns the panel with an asset listed only once it has `days` closes, today's included."""
    if days < 1:
        raise ValueError(f"history: days is {days}, expected at least 1")
    return _narrowed(panel, np.isfinite(panel["close"]).cumsum(axis=0) >= days)


def _narrowed(panel: Panel, mask: BoolArray) -> Panel:
    return replace(panel, listed=panel.listed & mask, tradable=panel.tradable & mask)


def _days(column: "pd.Series[Any]", missing: np.datetime64) -> DateArray:
    try:
        stamps = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise ValueError(f"membership: column '{column.name}' holds something that is not a date ({error})") from None
    return np.where(stamps.isna(), missing, stamps.to_numpy().astype("datetime64[D]"))
