"""Checks that look at one row, or at the rows of one cell, before there is a panel."""

from typing import Any

import numpy as np
import pandas as pd

from market.arrays import BoolArray, FloatArray
from market.panel import BARS, PRICES
from market.quality import checks
from market.quality.report import Findings
from market.quality.rules import Rules
from market.quality.sessions import closed_weekends

MASKED = (*BARS, "adj_close")
"""Fields that become NaN where a bar is masked."""


def days_of(dates: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns the column ``date`` as days.

    Raises:
        ValueError: It holds something that is not a date, or is empty somewhere.
    """
    try:
        days = pd.to_datetime(dates, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise ValueError(f"frame: column 'date' holds something that is not a date ({error}); correct it") from None
    if days.isna().any():
        raise ValueError(f"frame: column 'date' is empty in {int(days.isna().sum())} rows; drop or fill them")
    return days if days.dt.tz is None else days.dt.tz_localize(None)


def clean_rows(frame: pd.DataFrame, rules: Rules, findings: Findings) -> pd.DataFrame:
    """Returns the rows after the checks of single rows: one per date and symbol, unusable ones without prices."""
    closed = closed_weekends(frame)
    if findings.note("weekend", frame["date"].to_numpy()[closed], frame["symbol"].to_numpy()[closed]) == "drop":
        frame = frame[~closed]
    frame = _without_additive(frame, findings)
    frame, masked = _drop_duplicates(frame, findings)
    present = [name for name in PRICES if name in frame.columns]
    prices = _numbers(frame, present)
    prices[~np.isfinite(prices)] = np.nan
    quoted = _numbers(frame, ["close"])[:, 0]

    def treat(check: str, places: BoolArray) -> str:
        places = places & ~masked
        days, symbols = frame["date"].to_numpy()[places], frame["symbol"].to_numpy()[places]
        how = findings.note(check, days, symbols, before=quoted[places] if check == "extreme" else None)
        if how == "mask":
            masked[places] = True
        return how

    treat("missing", np.isnan(prices).any(axis=1) | _unadjusted(frame))
    treat("nonpositive", _nonpositive(frame))
    treat("extreme", checks.extreme(prices, rules.max_price, rules.max_jump))
    frame = frame.copy()
    if len(present) == len(PRICES):
        places = checks.impossible(prices, rules.tolerance) & ~masked
        if treat("impossible", places) == "repair":
            frame.loc[places, "high"], frame.loc[places, "low"] = prices[places].max(1), prices[places].min(1)
    for name in MASKED:
        if name in frame.columns:
            frame[name] = frame[name].astype(np.float64).mask(masked)
    return frame


def _numbers(frame: pd.DataFrame, names: list[str]) -> FloatArray:
    return np.array(frame[names].to_numpy(dtype=np.float64, na_value=np.nan))


def _nonpositive(frame: pd.DataFrame) -> BoolArray:
    positive = [name for name in (*PRICES, "adj_close") if name in frame.columns]
    wrong: BoolArray = (_numbers(frame, positive) <= 0).max(axis=1)
    if "volume" in frame.columns:
        volume = frame["volume"].to_numpy(dtype=np.float64, na_value=np.nan)
        wrong |= (volume < 0) | np.isinf(volume)
    return wrong


def _unadjusted(frame: pd.DataFrame) -> BoolArray:
    """Returns the rows without an adjusted close though their asset has had one; some assets never have any."""
    if "adj_close" not in frame.columns:
        return np.zeros(len(frame), np.bool_)
    adjusted = frame["adj_close"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(adjusted)
    since = frame["date"].where(known).groupby(frame["symbol"]).transform("min")
    lacking: BoolArray = np.isinf(adjusted) | (~known & (frame["date"] > since).to_numpy())
    return lacking


def _without_additive(frame: pd.DataFrame, findings: Findings) -> pd.DataFrame:
    """Refuses assets whose history was adjusted by subtraction; no ratio of two such prices is a return."""
    wrong = checks.additive(frame)
    if not wrong:
        return frame
    first = frame.groupby("symbol")["date"].min()
    symbols = sorted(wrong)
    if findings.rules.additive == "refuse":
        shown = ", ".join(f"{symbol} ({wrong[symbol]})" for symbol in symbols[:5])
        raise ValueError(
            f"quality: check 'additive' found {len(symbols)} assets whose prices were adjusted by subtraction, first "
            f"{shown}; their returns are wrong, so take prices that are unadjusted or adjusted by a factor (hfq), or "
            "leave the assets out with additive='drop'"
        )
    details = np.array([wrong[symbol] for symbol in symbols], dtype=object)
    names = np.array(symbols, dtype=object)
    if findings.note("additive", first[symbols].to_numpy(), names, details) == "drop":
        return frame[~frame["symbol"].isin(symbols)]
    return frame


def _drop_duplicates(frame: pd.DataFrame, findings: Findings) -> tuple[pd.DataFrame, BoolArray]:
    """Reduces every date and symbol to one row; returns the rows that stand for conflicting ones and must be masked.

    Rows that agree in every price and differ in volume are one bar, counted at two moments: the fuller one stays.
    """
    key = ["date", "symbol"]
    if not frame.duplicated(key).any():
        return frame, np.zeros(len(frame), np.bool_)
    priced = [*key, *(name for name in (*PRICES, "adj_close") if name in frame.columns)]
    numeric = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    if "volume" in frame.columns and findings.rules.duplicate != "refuse":
        frame = frame.sort_values("volume", kind="stable", na_position="first").sort_index(level=None, kind="stable")
        rank = frame.groupby(priced, dropna=False)["volume"].rank(method="first", ascending=False, na_option="bottom")
        again = (rank > 1).to_numpy()
    else:
        again = frame.duplicated([*key, *numeric]).to_numpy()
    findings.note("duplicate", frame["date"].to_numpy()[again], frame["symbol"].to_numpy()[again], treatment="drop")
    frame = frame[~again]
    conflicting = frame.duplicated(key, keep=False).to_numpy() & ~frame.duplicated(key, keep="last").to_numpy()
    days, symbols = frame["date"].to_numpy()[conflicting], frame["symbol"].to_numpy()[conflicting]
    how = findings.note("duplicate", days, symbols)
    kept = ~frame.duplicated(key, keep="last").to_numpy()
    disputed = frame.duplicated(key, keep=False).to_numpy()[kept]
    return frame[kept], disputed if how == "mask" else np.zeros(int(kept.sum()), np.bool_)
