"""The order in which checks run and what their treatments do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray, FloatArray
from market.frames import volume_informs
from market.panel import PRICES, Panel
from market.preparation.quality import checks
from market.preparation.quality.mixtures import note_mixtures
from market.preparation.quality.report import Findings, Report
from market.preparation.quality.rows import clean_rows, days_of
from market.preparation.quality.rules import Rules
from market.preparation.quality.sessions import close_calendar
from market.preparation.quality.treatments import apply_known_actions, settle_levels
from market.prices.fills import Fill, marked_prices

MOMENTS: tuple[Fill, ...] = ("close", "next_open")
"""Fills whose prices are the close and the open of a day."""


def clean(
    frame: pd.DataFrame,
    rules: Rules | None = None,
    source: Mapping[str, Any] | None = None,
    splits: pd.DataFrame | None = None,
    dividends: bool = True,
) -> tuple[Panel, Report]:
    """Returns the panel of a long frame after every check, and the report of what they found.

    Cutting the frame at a day and cleaning gives the same values and tradable cells as cleaning and cutting the panel,
    but for the exceptions that `market.preparation.quality` states. Fields other than prices and volume pass untouched.
    Prices are in shares of the last day; where splits had to be undone for that, ``raw_close`` and ``raw_volume`` hold
    what was quoted.

    Args:
        frame: As for `Panel.from_frame`, but with any dirt in it. A column ``split`` holds the new shares for one old
            share on the days of splits, ``factor`` a vendor's adjustment factor.
        rules: Treatments and thresholds; the default ones where None.
        source: Where the frame came from, as JSON.
        splits: The user's own list, ``symbol, date, ratio``, which outranks all else; None for none.
        dividends: Reinvest what a column ``dividend`` holds, money a share on the ex-dividend day, where there is no
            ``adj_close`` to adjust by (`market.preparation.adjustment`).

    Raises:
        ValueError: A rule refuses what was found, nothing is left, or the frame is not a table of bars.
    """
    bars, findings = _clean_bars(frame, rules or Rules())
    panel = Panel.from_frame(bars, source)
    present, stated = _cells(bars, panel)
    panel, (present, stated) = close_calendar(panel, (present, stated), findings)
    tickers = np.array(panel.assets, dtype=object)
    panel = apply_known_actions(panel, splits, dividends, findings)
    panel, columns = settle_levels(panel, findings)
    panel, kept = _clean_assets(panel, findings)
    panel = _mark_untradable(panel, stated[:, columns[kept]], findings)
    _report_giants(panel, findings)
    left = np.unique(columns[kept])
    _report_gaps(panel, tickers[left], present[:, left], findings)
    observed = np.isfinite(panel["close"])
    sizes = (len(panel), len(panel.assets), int(observed.sum()), int(panel.tradable.sum()))
    return panel, Report(findings.found, len(frame), *sizes)


def _clean_bars(frame: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, Findings]:
    """Returns the bars that are left of a frame once each row was looked at by itself, and what was found there."""
    for name in ("date", "symbol", "close"):
        if name not in frame.columns:
            raise ValueError(f"frame: no column '{name}' among {list(map(str, frame.columns))}; rename the right one")
    bars = frame.assign(symbol=frame["symbol"].astype(str), date=days_of(frame["date"]))
    findings = Findings(rules, np.unique(bars["date"].to_numpy().astype("datetime64[D]")))
    note_mixtures(bars, findings)
    bars = clean_rows(bars.reset_index(drop=True), rules, findings)
    if not np.isfinite(bars["close"].to_numpy(dtype=np.float64, na_value=np.nan)).any():
        raise ValueError(f"quality: none of the {len(frame)} rows has a usable close; nothing is left of the frame")
    return bars, findings


def _cells(bars: pd.DataFrame, panel: Panel) -> tuple[BoolArray, BoolArray]:
    """Returns which cells have a row at all, and which the source itself does not rule trading out on, ``[T, N]``."""
    row = np.searchsorted(panel.dates, bars["date"].to_numpy().astype("datetime64[D]"))
    column = pd.Index(panel.assets).get_indexer(pd.Index(bars["symbol"]))
    present, stated = np.zeros(panel.listed.shape, np.bool_), np.ones(panel.listed.shape, np.bool_)
    present[row, column] = True
    if "tradable" in bars.columns:
        stated[row, column] = bars["tradable"].to_numpy(dtype=bool)
    return present, stated


def _clean_assets(panel: Panel, findings: Findings) -> tuple[Panel, BoolArray]:
    """Leaves out assets with too few bars, in number or in share; returns which columns are kept, too."""
    rules = findings.rules
    count, listed = np.isfinite(panel["close"]).sum(axis=0), panel.listed.sum(axis=0)
    names = np.array(panel.assets, dtype=object)
    first = panel.dates[np.isfinite(panel["close"]).argmax(axis=0)]
    kept = np.ones(len(names), np.bool_)
    for check, wrong, details in (
        ("short", count < rules.min_days, [f"{n} bars" for n in count]),
        (
            "coverage",
            count < rules.min_coverage * listed,
            [f"{n} of {m} days" for n, m in zip(count, listed, strict=True)],
        ),
    ):
        wrong = wrong & kept
        if findings.note(check, first[wrong], names[wrong], np.array(details, dtype=object)[wrong]) == "drop":
            kept &= ~wrong
    if not kept.any():
        raise ValueError(f"quality: none of {len(names)} assets has {rules.min_days} bars; lower min_days")
    return (panel if kept.all() else panel.select(assets=[str(name) for name in names[kept]])), kept


def _mark_untradable(panel: Panel, stated: BoolArray, findings: Findings) -> Panel:
    """Applies halts as the source states them, bars without volume, and prices that stand still.

    An asset whose volume is never known, as that of an index or a currency, is not halted by it.
    """
    observed, volume = np.isfinite(panel["close"]) & panel.listed, _field_or_none(panel, "volume")
    findings.note_cells("halted", panel, observed & ~stated, "untradable")
    tradable = observed & stated
    if volume is not None:
        _note_unknown_volumes(panel, observed.any(axis=0) & ~volume_informs(volume), findings)
        volume = np.where(volume_informs(volume), volume, np.nan)
    empty = np.zeros_like(observed) if volume is None else tradable & (volume == 0)
    bars = np.stack([_field(panel, name) for name in PRICES if name in panel.fields])
    stale = tradable & (checks.stale_run(bars, volume, observed) >= findings.rules.stale_days)
    for check, places in (("zero_volume", empty), ("stale", stale)):
        if findings.note_cells(check, panel, places) == "untradable":
            tradable = tradable & ~places
    return replace(panel, tradable=tradable)


def _note_unknown_volumes(panel: Panel, unknown: BoolArray, findings: Findings) -> None:
    first = panel.dates[panel.listed.argmax(axis=0)]
    details = np.full(int(unknown.sum()), "0 or missing on every bar: says nothing about halts", dtype=object)
    findings.note("no_volume", first[unknown], np.array(panel.assets, dtype=object)[unknown], details, "keep")


def _report_giants(panel: Panel, findings: Findings) -> None:
    """Reports the returns beyond `max_jump` that are left, from one close or one open to the next, as marked."""
    limit = np.log(findings.rules.max_jump) - 1e-6
    places = np.zeros(panel.listed.shape, np.bool_)
    for fill in MOMENTS[: 2 if "open" in panel else 1]:  # the close, and the open
        marks = marked_prices(panel, fill)
        with np.errstate(divide="ignore", invalid="ignore"):
            places[1:] |= np.nan_to_num(np.abs(np.log(marks[1:] / marks[:-1]))) > limit
    findings.note_cells("giant", panel, places & panel.listed, "keep")


def _report_gaps(panel: Panel, tickers: AnyArray, present: BoolArray, findings: Findings) -> None:
    """Reports the days that have no row at all; a masked bar is no gap."""
    lengths = checks.gap_lengths(present)
    day, asset = np.nonzero(lengths > findings.rules.gap_days)
    details = np.array([f"{length} missing before" for length in lengths[day, asset]], dtype=object)
    findings.note("gap", panel.dates[day], tickers[asset], details)


def _field(panel: Panel, name: str) -> FloatArray:
    return panel[name].astype(np.float64, copy=False)


def _field_or_none(panel: Panel, name: str) -> FloatArray | None:
    return _field(panel, name) if name in panel.fields else None
