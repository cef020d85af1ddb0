"""Sessions: the days on which the market was open, and the last one that is complete."""

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray, DateArray
from market.frames import volume_informs
from market.panel import Panel
from market.preparation.quality import checks
from market.preparation.quality.report import Findings

SESSION_SHARE = 0.5
"""A day on which this share of the listed assets traded is a session, whatever weekday it is."""
RAGGED_SHARE, RAGGED_DAYS, STEADY_DAYS, STEADY_ASSETS = 0.95, 5, 5, 4
"""The last day is complete if this share of the steady assets, with a bar on each of so many days before, has one."""


def closed_weekends(frame: pd.DataFrame) -> BoolArray:
    """Returns the rows ``[rows]`` on Saturdays and Sundays that are no sessions: most of the market did not trade."""
    dates = frame["date"].to_numpy().astype("datetime64[D]")
    weekend = checks.weekend(dates)
    if not weekend.any():
        return weekend
    alive = traded_rows(frame)
    spans = pd.Series(dates).groupby(frame["symbol"].to_numpy()).agg(["min", "max"])
    first, last = (np.sort(spans[name].to_numpy().astype("datetime64[D]")) for name in ("min", "max"))
    days, row = np.unique(dates[weekend], return_inverse=True)
    listed = np.searchsorted(first, days, side="right") - np.searchsorted(last, days, side="left")
    traded = np.bincount(row, weights=alive[weekend], minlength=len(days))
    closed = weekend.copy()
    closed[weekend] = (traded < SESSION_SHARE * listed)[row]
    return closed


def close_calendar(
    panel: Panel, masks: tuple[BoolArray, BoolArray], findings: Findings
) -> tuple[Panel, tuple[BoolArray, BoolArray]]:
    """Leaves out days on which the market was closed, and the last days while they are incomplete.

    Args:
        panel: The panel.
        masks: Which cells have a row at all, and a further mask ``[T, N]``; both lose the same days.
        findings: Where to report.

    Raises:
        ValueError: A rule refuses a day, no day is left, or the named calendar is unknown.
    """
    present, other = masks
    observed = np.isfinite(panel["close"])
    dropped = np.zeros(len(panel), np.bool_)
    if findings.rules.calendar is not None:
        strange = ~np.isin(panel.dates, exchange_sessions(findings.rules.calendar, panel.dates[0], panel.dates[-1]))
        findings.note("calendar", panel.dates[strange], treatment="drop")
        dropped |= strange
    closed = checks.holiday(observed, panel.listed, findings.rules.min_day_share)
    closed = (closed | _idle(panel, observed)) & ~dropped
    ragged, lacking = _ragged(present, dropped | (closed & ~_trailing(closed)))
    closed &= ~ragged
    counts = _counts(observed, panel.listed, closed)
    for check, days, details in (("holiday", closed, counts), ("ragged", ragged, lacking)):
        if findings.note(check, panel.dates[days], None, details) == "drop":
            dropped |= days
    if dropped.all():
        raise ValueError("quality: every day looks like a holiday; lower min_day_share")
    if not dropped.any():
        return panel, masks
    parts = {name: getattr(panel, name)[~dropped] for name in ("dates", "values", "listed", "tradable")}
    return relisted(replace(panel, **parts)), (present[~dropped], other[~dropped])


def relisted(panel: Panel) -> Panel:
    """Narrows the listing of every asset to its first and last remaining bar."""
    observed = np.isfinite(panel["close"])
    started = np.logical_or.accumulate(observed, axis=0)
    ongoing = np.logical_or.accumulate(observed[::-1], axis=0)[::-1]
    listed = panel.listed & started & ongoing
    return replace(panel, listed=listed, tradable=panel.tradable & listed)


def exchange_sessions(name: str, first: np.datetime64, last: np.datetime64) -> DateArray:
    """Returns the sessions of an exchange, as the package exchange_calendars knows them.

    Raises:
        ValueError: The package is not installed, or knows no exchange of that name.
    """
    try:
        calendars: Any = importlib.import_module("exchange_calendars")
    except ModuleNotFoundError:
        raise ValueError(
            f"quality: calendar '{name}' needs the package exchange_calendars; install it or leave the calendar out"
        ) from None
    if name not in calendars.get_calendar_names():
        raise ValueError(f"quality: no calendar '{name}' in exchange_calendars; use one such as XNYS, XSHG or XNSE")
    sessions = calendars.get_calendar(name, start=str(first), end=str(last)).sessions
    days: DateArray = sessions.to_numpy().astype("datetime64[D]")
    return days


def _ragged(present: BoolArray, dropped: BoolArray) -> tuple[BoolArray, AnyArray]:
    """Returns the last days that lack bars of assets which had one on each of the days before, and how many, in words.

    Vendors update at different hours, and some lag by days, so a collection may end with days that are half there.
    """
    ragged = np.zeros(len(present), np.bool_)
    details: list[str] = []
    days = np.flatnonzero(~dropped)
    deepest = min(RAGGED_DAYS, len(days) - STEADY_DAYS - 1)
    told = {back: _lacking(present[days], back, back) for back in range(1, deepest + 1)}
    first = max((back for back in told if back < RAGGED_DAYS and _lacking(present[days], back, 1)), default=0)
    while first < deepest and told[first + 1]:
        first += 1
    if first >= RAGGED_DAYS:
        return ragged, np.array([], dtype=object)  # so many days are no matter of hours
    ragged[days[len(days) - first :]] = True
    details = [told[back] or "assets that come later are there" for back in range(first, 0, -1)]
    return ragged, np.array(details, dtype=object)


def _lacking(present: BoolArray, back: int, until: int) -> str:
    """Returns how many of the steady assets have a bar on the days from `back` to `until` before the end, in words.

    Nothing where the few that lack one may have been delisted.
    """
    first, stop = len(present) - back, len(present) - until + 1
    steady: BoolArray = np.all(present[first - STEADY_DAYS : first], axis=0)
    there, count = int(np.any(present[first:stop][:, steady], axis=0).sum()), int(steady.sum())
    if count < STEADY_ASSETS or count - there < 2 or there >= RAGGED_SHARE * count:
        return ""
    return f"{there} of {count} assets that had a bar on each of {STEADY_DAYS} days before"


def traded_rows(frame: pd.DataFrame) -> BoolArray:
    """Returns the rows with a price that somebody paid: some volume, or where that is never known, another close."""
    close = frame["close"].to_numpy(dtype=np.float64, na_value=np.nan)
    symbols = pd.factorize(frame["symbol"])[0]
    order = np.lexsort((frame["date"].to_numpy(), symbols))
    before = np.full(len(close), np.nan)
    same = symbols[order][1:] == symbols[order][:-1]
    before[order[1:][same]] = close[order[:-1][same]]
    traded: BoolArray = np.isfinite(close) & (close != before)
    if "volume" in frame.columns:
        volume = frame["volume"].to_numpy(dtype=np.float64, na_value=np.nan)
        counted = pd.Series(volume > 0).groupby(symbols).transform("any").to_numpy()
        traded = np.where(counted, np.isfinite(close) & (volume > 0), traded)
    return traded


def _idle(panel: Panel, observed: BoolArray) -> BoolArray:
    """Returns the days on which nothing was traded at all: vendors repeat the last bars on holidays."""
    close = panel["close"].astype(np.float64)
    with np.errstate(invalid="ignore"):
        moved = observed & (close != checks.take_previous(close, checks.previous_row(observed)))
    if "volume" in panel:
        moved = np.where(volume_informs(panel["volume"]), observed & (panel["volume"] > 0), moved)
    idle: BoolArray = (observed.sum(axis=1) >= checks.MIN_LISTED) & ~moved.any(axis=1)
    return idle


def _trailing(days: BoolArray) -> BoolArray:
    """Returns the run of true days at the end."""
    run: BoolArray = np.logical_and.accumulate(days[::-1])[::-1]
    return run


def _counts(observed: BoolArray, listed: BoolArray, days: BoolArray) -> AnyArray:
    """Returns how many of how many assets have a bar on each of the days, in words."""
    pairs = zip(observed[days].sum(axis=1), listed[days].sum(axis=1), strict=True)
    words = [f"{n} of {m} assets" if m else "no bar of any asset is left" for n, m in pairs]
    return np.array(words, dtype=object)
