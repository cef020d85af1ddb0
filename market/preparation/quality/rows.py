"""Checks that look at one row, or at the rows of one cell, before there is a panel."""

from typing import Any

import numpy as np
import pandas as pd

from market.arrays import BoolArray, FloatArray
from market.panel import BARS, PRICES
from market.preparation.quality import checks
from market.preparation.quality.report import Findings
from market.preparation.quality.rules import Rules
from market.preparation.quality.sessions import closed_weekends

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
    frame, masked = _drop_duplicates(frame, rules, findings)
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
    treat("extreme", checks.extreme(prices, rules.max_jump) | _towering(frame, prices, rules))
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


def _towering(frame: pd.DataFrame, prices: FloatArray, rules: Rules) -> BoolArray:
    """Returns the rows with prices far above `max_price` and above what their asset usually costs."""
    top = np.fmax.reduce(prices, axis=1)
    wrong: BoolArray = top > rules.max_price
    closes, symbols = _numbers(frame, ["close"])[:, 0], frame["symbol"].to_numpy()
    dates = frame["date"].to_numpy()
    for symbol in pd.unique(symbols[wrong]):
        rows = np.flatnonzero(symbols == symbol)
        rows = rows[np.argsort(dates[rows], kind="stable")]
        wrong[rows] = checks.towering(top[rows], closes[rows], rules.max_price, rules.max_jump)
    return wrong


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


def _drop_duplicates(frame: pd.DataFrame, rules: Rules, findings: Findings) -> tuple[pd.DataFrame, BoolArray]:
    """Reduces every date and symbol to one row; returns the rows that stand for conflicting ones and must be masked.

    Rows that agree in every price, but for rounding, are one bar, counted at two moments: the one of the larger volume
    stays. A row without a close disputes nothing.
    """
    key = ["date", "symbol"]
    if not frame.duplicated(key).any():
        return frame, np.zeros(len(frame), np.bool_)
    again = _again(frame, rules.tolerance if rules.duplicate != "refuse" else None)
    findings.note("duplicate", frame["date"].to_numpy()[again], frame["symbol"].to_numpy()[again], treatment="drop")
    frame = frame[~again]
    conflicting = frame.duplicated(key, keep=False).to_numpy() & ~frame.duplicated(key, keep="last").to_numpy()
    days, symbols = frame["date"].to_numpy()[conflicting], frame["symbol"].to_numpy()[conflicting]
    how = findings.note("duplicate", days, symbols)
    kept = ~frame.duplicated(key, keep="last").to_numpy()
    disputed = frame.duplicated(key, keep=False).to_numpy()[kept]
    return frame[kept], disputed if how == "mask" else np.zeros(int(kept.sum()), np.bool_)


def _again(frame: pd.DataFrame, tolerance: float | None) -> BoolArray:
    """Returns the rows that repeat the bar of another one; with no tolerance, only those that are equal throughout."""
    key = ["date", "symbol"]
    if tolerance is None:
        numeric = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
        return np.asarray(frame.duplicated([*key, *numeric]).to_numpy(), dtype=np.bool_)
    priced = [name for name in (*PRICES, "adj_close") if name in frame.columns]
    volume = frame["volume"] if "volume" in frame.columns else pd.Series(0.0, index=frame.index)
    ranked = frame[key].assign(volume=volume.to_numpy(dtype=np.float64, na_value=np.nan))
    told = frame.groupby(key, sort=False)["close"].transform("count").to_numpy() > 0
    again = told & frame["close"].isna().to_numpy()  # nothing, beside a row that has a close
    for prices in (_numbers(frame, priced), _levels(frame, priced, tolerance, again)):
        for k, name in enumerate(priced):
            ranked[name] = prices[:, k]
        left = ranked[~again]
        rank = left.groupby([*key, *priced], dropna=False)["volume"].rank(
            method="first", ascending=False, na_option="bottom"
        )
        again[~again] = (rank > 1).to_numpy()
    return again


def _levels(frame: pd.DataFrame, priced: list[str], tolerance: float, again: BoolArray) -> FloatArray:
    """Returns prices ``[rows, K]``, those of one bar made equal where they differ by no more than rounding."""
    prices = _numbers(frame, priced)
    left = frame.loc[~again, ["date", "symbol"]].reset_index(drop=True)
    rows = np.flatnonzero(~again)
    group = left.groupby(["date", "symbol"], sort=False).ngroup().to_numpy()
    table = pd.DataFrame(np.where(np.isfinite(prices[rows]), prices[rows], np.nan)).groupby(group)
    low, high = table.transform("min").to_numpy(), table.transform("max").to_numpy()
    close = ((high - low <= tolerance * np.abs(high)) | np.isnan(high)).all(axis=1)
    close &= np.isfinite(prices[rows]).any(axis=1)
    prices[rows[close]] = low[close]
    return prices
