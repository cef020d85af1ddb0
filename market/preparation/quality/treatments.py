"""Splits undone and level breaks settled: what is known first, what prices say second, and a cut where nothing does."""

from dataclasses import replace

import numpy as np
import pandas as pd

from market.arrays import FloatArray, IntArray
from market.panel import Panel
from market.preparation.quality.actions import (
    StockSplit,
    described,
    in_new_shares,
    known_splits,
    states_splits,
    with_dividends,
    with_factor,
)
from market.preparation.quality.checks import previous_row, take_previous
from market.preparation.quality.evidence import Series
from market.preparation.quality.levels import GLITCH, SPLIT_LIKE, LevelBreak, LevelRules, level_breaks
from market.preparation.quality.listings import listing_name, split_listings
from market.preparation.quality.report import Findings
from market.preparation.quality.rows import MASKED
from market.preparation.quality.sessions import relisted

MARKET_ASSETS = 10
Places = list[tuple[int, LevelBreak, Series]]


def apply_known_actions(panel: Panel, listed: pd.DataFrame | None, dividends: bool, findings: Findings) -> Panel:
    """Returns the panel with every split undone that is known, and with dividends reinvested if `dividends` asks."""
    panel = with_factor(_apply_known_splits(panel, listed, findings))
    if not dividends:
        return panel
    reinvested, places = with_dividends(panel)
    days, assets = np.array(places, np.int64).reshape(-1, 2).T
    names = _names(panel, list(assets))
    details = np.array([f"{paid:.6g} a share" for paid in panel["dividend"][days, assets]] if len(days) else [], object)
    findings.note("dividend", panel.dates[days], names, details, "repair")
    return reinvested


def _apply_known_splits(panel: Panel, listed: pd.DataFrame | None, findings: Findings) -> Panel:
    """Returns the panel in new shares for every split that the user, the vendor or ``adj_close`` tells of."""
    splits = known_splits(panel, listed)
    quoted = [one for one in splits if one.quoted]
    done = in_new_shares(panel, quoted)
    for check, chosen, treatment in (
        ("split", quoted, None),
        ("adjusted_split", [one for one in splits if not one.quoted], "keep"),
    ):
        days, names = np.array([one.day for one in chosen], np.int64), _names(panel, [one.asset for one in chosen])
        details = np.array([described(panel, one) for one in chosen], dtype=object)
        before = np.array([_close_before(panel, one) for one in chosen])
        after = np.array([_close_before(done, one) for one in chosen])
        how = findings.note(check, panel.dates[days], names, details, treatment, before, after)
        if check == "split" and how != "repair":
            done = panel
    return done


def settle_levels(panel: Panel, findings: Findings) -> tuple[Panel, IntArray]:
    """Returns the panel without glitches, guessed splits undone and listings cut, and where its columns come from."""
    rules = findings.rules
    limits = LevelRules(rules.max_jump, rules.confirm_days, rules.relist_days)
    places = _all_breaks(panel, limits)
    masks = np.zeros(panel.listed.shape, np.bool_)
    splits, cuts = [], []
    for kind in ("glitch", "pending", "split", "suspect", "jump", "relisted"):
        chosen = [(n, one, series) for n, one, series in places if _check(one) == kind]
        how = _noted(panel, kind, chosen, findings)
        for n, one, series in chosen:
            if how == "mask":
                masks[series.day[one.first : one.last + 1], n] = True
            elif how == "repair":
                splits.append(StockSplit(int(series.day[one.first]), n, one.ratio, "its prices", True))
            elif how == "cut":
                cuts.append((int(series.day[one.first]), n))
    if masks.any():
        values = np.array(panel.values)
        for name in MASKED:
            if name in panel:
                values[:, :, panel.fields.index(name)][masks] = np.nan
        panel = relisted(replace(panel, values=values))
    if splits:
        panel = in_new_shares(panel, splits)
    panel, columns = split_listings(panel, cuts)
    return (relisted(panel) if cuts else panel), columns


def _check(one: LevelBreak) -> str:
    if one.kind != "cut":
        return one.kind
    return "relisted" if one.reason.startswith("no bar") else "jump"


def _all_breaks(panel: Panel, limits: LevelRules) -> Places:
    """Returns the breaks of every asset, by asset and time."""
    levels, guess = _levels(panel)
    observed = np.isfinite(levels)
    before = previous_row(observed)
    moves = levels - take_previous(levels, before)
    market = np.zeros(len(panel))
    counted = np.isfinite(moves).sum(axis=1) >= MARKET_ASSETS
    market[counted] = np.nanmedian(moves[counted], axis=1)
    rows = np.arange(len(panel))[:, None]
    away = np.isfinite(moves) & ((np.abs(moves) >= SPLIT_LIKE) | (rows - before > limits.relist_days))
    if "open" in panel:
        with np.errstate(divide="ignore", invalid="ignore"):
            away |= np.abs(np.log(panel["open"] / panel["close"])) >= GLITCH
    places: Places = []
    for n in np.flatnonzero(away.any(axis=0)):
        series = _series(panel, int(n), levels[:, n], market)
        places += [(int(n), one, series) for one in level_breaks(series, limits, bool(guess[n]))]
    return places


def _levels(panel: Panel) -> tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Returns the logarithm of the level of every asset, and of which splits may be guessed."""
    close = panel["close"].astype(np.float64)
    level = np.where(np.isfinite(close) & (close > 0), close, np.nan)
    guess = ~states_splits(panel)
    if "adj_close" in panel:
        adjusted = panel["adj_close"].astype(np.float64)
        whole = (np.isfinite(adjusted) & (adjusted > 0) | np.isnan(level)).all(axis=0)
        level = np.where(whole & np.isfinite(level), adjusted, level)
        guess &= ~whole
    return np.log(level), guess


def _series(panel: Panel, asset: int, level: FloatArray, market: FloatArray) -> Series:
    day = np.flatnonzero(np.isfinite(level))

    def picked(name: str) -> FloatArray | None:
        if name not in panel:
            return None
        values = panel[name][day, asset].astype(np.float64)
        known = np.isfinite(values) & ((values > 0) | (name == "volume"))
        return values if known.all() else np.where(known, values, panel["close"][day, asset] if name != "volume" else 0)

    close = panel["close"][day, asset].astype(np.float64)
    volume = picked("volume")
    if volume is not None and not (volume > 0).any():
        volume = None
    return Series(day, close, picked("open"), picked("high"), picked("low"), volume, level[day], market[day])


def _noted(panel: Panel, kind: str, chosen: Places, findings: Findings) -> str:
    days = np.array([series.day[one.first] for _, one, series in chosen], np.int64)
    details = [one.reason for _, one, _ in chosen]
    if kind in ("jump", "relisted"):
        names = [listing_name(panel, n, int(day)) for (n, *_), day in zip(chosen, days, strict=True)]
        details = [f"{text}; cut, what lies before is {name}" for text, name in zip(details, names, strict=True)]
    if kind in ("glitch", "pending"):
        bars = [one.last - one.first + 1 for _, one, _ in chosen]
        details = [f"{text}, {count} bar{'s' * (count > 1)}" for text, count in zip(details, bars, strict=True)]
    before = np.array([series.close[one.first - (kind not in ("glitch", "pending"))] for _, one, series in chosen])
    after = np.array([_after(kind, one, series) for _, one, series in chosen])
    names_ = _names(panel, [n for n, *_ in chosen])
    return findings.note(kind, panel.dates[days], names_, np.array(details, dtype=object), None, before, after)


def _after(kind: str, one: LevelBreak, series: Series) -> float:
    """The close before a split in new shares, the first close after a cut or a doubt; none where a bar is masked."""
    if kind in ("glitch", "pending"):
        return float("nan")
    return float(series.close[one.first - 1] / one.ratio if kind == "split" else series.close[one.first])


def _names(panel: Panel, assets: list[int]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array([panel.assets[n] for n in assets], dtype=object)


def _close_before(panel: Panel, split: StockSplit) -> float:
    close = panel["close"][: split.day, split.asset]
    known = close[np.isfinite(close)]
    return float(known[-1]) if len(known) else float("nan")
