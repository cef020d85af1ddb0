"""Checks of the assets beside each other: one panel should be of one currency and one trading calendar."""

from collections import Counter

import numpy as np
import pandas as pd

from market.arrays import BoolArray, DateArray
from market.preparation.quality.report import Findings
from market.preparation.quality.sessions import traded_rows

CURRENCY = "currency"
"""Column of text that says in which currency a row is quoted."""

_EURO = (".DE", ".F", ".PA", ".AS", ".MI", ".MC", ".BR", ".VI", ".HE", ".LS", ".IR")
EXCHANGES = {
    **{".L": "GBp", ".T": "JPY", ".HK": "HKD", ".KS": "KRW", ".KQ": "KRW", ".SS": "CNY", ".SZ": "CNY", ".SH": "CNY"},
    **{".NS": "INR", ".BO": "INR", ".TO": "CAD", ".AX": "AUD", ".SW": "CHF", ".ST": "SEK", ".OL": "NOK", ".CO": "DKK"},
    **{".SA": "BRL", ".MX": "MXN", ".SR": "SAR", ".TA": "ILS", ".TW": "TWD", ".TWO": "TWD", ".SI": "SGD", ".BK": "THB"},
    **{".JK": "IDR", ".KL": "MYR", ".NZ": "NZD", ".JO": "ZAR", ".IS": "TRY", ".WA": "PLN", ".ME": "RUB"},
    **dict.fromkeys(_EURO, "EUR"),
}
"""Currency of the exchanges whose suffix Yahoo puts behind a ticker; London quotes in pence."""
LONE_SUFFIX = 10
"""In a panel of more assets, one suffix alone is a share class (MKC.V) and no exchange."""
STRANGE_DAYS, DAYS_A_YEAR = 3, 365.25
"""An asset that trades on so many days a year on which most others do not has another calendar."""


def note_mixtures(frame: pd.DataFrame, findings: Findings) -> None:
    """Reports the assets that are quoted in another currency than most, and those that trade on other days.

    Raises:
        ValueError: A rule refuses them.
    """
    _note_currencies(frame, findings)
    _note_calendars(frame, findings)


def _note_currencies(frame: pd.DataFrame, findings: Findings) -> None:
    first = frame.groupby("symbol")["date"].min()
    currency = _stated(frame) if CURRENCY in frame.columns else _by_suffix([str(name) for name in first.index])
    usual = Counter(currency.values()).most_common(1)
    others = {symbol: name for symbol, name in currency.items() if name != usual[0][0]}
    if others:
        names = np.array(list(others), dtype=object)
        details = np.array([f"{others[name]}, most are {usual[0][0]}" for name in names], dtype=object)
        findings.note("currencies", first[names].to_numpy(), names, details)


def _stated(frame: pd.DataFrame) -> dict[str, str]:
    """Returns the currency of every asset by the column; one that changes is a currency of its own."""
    pairs = frame[["symbol", CURRENCY]].dropna().drop_duplicates().astype(str)
    joined = pairs.sort_values(CURRENCY).groupby("symbol")[CURRENCY].agg(" and ".join)
    return {str(symbol): str(name) for symbol, name in joined.items()}


def _by_suffix(symbols: list[str]) -> dict[str, str]:
    shares = [symbol for symbol in symbols if not symbol.startswith("^") and not symbol.endswith("=X")]
    suffixes = {symbol: "." + symbol.rpartition(".")[2] if "." in symbol else "" for symbol in shares}
    counts = Counter(suffixes.values())
    alone = {suffix for suffix, count in counts.items() if count == 1 and len(symbols) > LONE_SUFFIX}
    return {
        symbol: "of no exchange suffix" if suffix in alone or suffix not in EXCHANGES else EXCHANGES[suffix]
        for symbol, suffix in suffixes.items()
    }


def _note_calendars(frame: pd.DataFrame, findings: Findings) -> None:
    days, row = np.unique(frame["date"].to_numpy().astype("datetime64[D]"), return_inverse=True)
    column, names = pd.factorize(frame["symbol"])
    traded = np.zeros((len(days), len(names)), np.bool_)
    rows = traded_rows(frame)
    traded[row[rows], column[rows]] = True
    strange = _on_days_of_others(traded) & traded
    years = max((days[-1] - days[0]).astype(int) / DAYS_A_YEAR, 1.0)
    count = strange.sum(axis=0)
    for_good = count >= STRANGE_DAYS * years
    details = [f"bars on {n} days on which most others have none" for n in count]
    findings.note(
        "calendars",
        _first_days(days, strange)[for_good],
        np.asarray(names, dtype=object)[for_good],
        np.array(details, dtype=object)[for_good],
    )


def _on_days_of_others(traded: BoolArray) -> BoolArray:
    """Returns the days ``[T, 1]`` on which at least half of the assets between their first and last bar have none."""
    listed = np.logical_or.accumulate(traded, axis=0) & np.logical_or.accumulate(traded[::-1], axis=0)[::-1]
    share = traded.sum(axis=1) / np.maximum(listed.sum(axis=1), 1)
    few: BoolArray = (share <= 0.5)[:, None]
    return few


def _first_days(days: DateArray, places: BoolArray) -> DateArray:
    first: DateArray = days[places.argmax(axis=0)]
    return first
