"""The order in which checks run and what their treatments do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from market.arrays import BoolArray, FloatArray
from market.frames import volume_informs
from market.panel import BARS, PRICES, Panel
from market.quality import checks
from market.quality.report import Findings, Report
from market.quality.rules import Rules

MASKED = (*BARS, "adj_close")
"""Fields that become NaN where a bar is masked."""


def clean(
    frame: pd.DataFrame, rules: Rules | None = None, source: Mapping[str, Any] | None = None
) -> tuple[Panel, Report]:
    """Returns the panel of a long frame after every check, and the report of what they found.

    Cutting the frame at a day and cleaning gives the same values and tradable cells as cleaning and cutting the panel,
    but for the exceptions that `market.quality` states. Fields other than prices and volume pass untouched.

    Args:
        frame: As for `Panel.from_frame`, but with any dirt in it.
        rules: Treatments and thresholds; the default ones where None.
        source: Where the frame came from, as JSON.

    Raises:
        ValueError: A rule refuses what was found, nothing is left, or the frame is not a table of bars.
    """
    rules = rules or Rules()
    for name in ("date", "symbol", "close"):
        if name not in frame.columns:
            raise ValueError(f"frame: no column '{name}' among {list(map(str, frame.columns))}; rename the right one")
    findings = Findings(rules)
    bars = frame.assign(symbol=frame["symbol"].astype(str), date=_days(frame["date"]))
    bars = _clean_rows(bars.reset_index(drop=True), rules, findings)
    if not np.isfinite(bars["close"].to_numpy(dtype=np.float64, na_value=np.nan)).any():
        raise ValueError(f"quality: none of the {len(frame)} rows has a usable close; nothing is left of the frame")
    panel = _clean_days(_clean_assets(Panel.from_frame(bars, source), findings), findings)
    panel = _mask_jumps(_repair_splits(panel, findings), findings)
    panel = _mark_untradable(panel, _stated(bars, panel), findings)
    _report_gaps(bars, panel, findings)
    observed = np.isfinite(panel["close"])
    sizes = (len(panel), len(panel.assets), int(observed.sum()), int(panel.tradable.sum()))
    return panel, Report(tuple(findings.found), len(frame), *sizes)


def _days(dates: "pd.Series[Any]") -> "pd.Series[Any]":
    try:
        days = pd.to_datetime(dates, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise ValueError(f"frame: column 'date' holds something that is not a date ({error}); correct it") from None
    if days.isna().any():
        raise ValueError(f"frame: column 'date' is empty in {int(days.isna().sum())} rows; drop or fill them")
    return days if days.dt.tz is None else days.dt.tz_localize(None)


def _clean_rows(frame: pd.DataFrame, rules: Rules, findings: Findings) -> pd.DataFrame:
    """Runs the checks that look at one row (or one cell's rows) alone."""
    closed = checks.weekend(frame["date"].to_numpy())
    if findings.note("weekend", frame["date"].to_numpy()[closed], frame["symbol"].to_numpy()[closed]) == "drop":
        frame = frame[~closed]
    frame, masked = _drop_duplicates(frame, findings)
    present = [name for name in PRICES if name in frame.columns]
    prices = np.array(frame[present].to_numpy(dtype=np.float64, na_value=np.nan))
    prices[~np.isfinite(prices)] = np.nan

    def treat(check: str, places: BoolArray) -> str:
        places = places & ~masked
        how = findings.note(check, frame["date"].to_numpy()[places], frame["symbol"].to_numpy()[places])
        if how == "mask":
            masked[places] = True
        return how

    treat("missing", np.isnan(prices).any(axis=1) | _unadjusted(frame))
    positive = [name for name in (*PRICES, "adj_close") if name in frame.columns]
    wrong = (frame[positive].to_numpy(dtype=np.float64, na_value=np.nan) <= 0).max(axis=1)
    if "volume" in frame.columns:
        volume = frame["volume"].to_numpy(dtype=np.float64, na_value=np.nan)
        wrong |= (volume < 0) | np.isinf(volume)
    treat("nonpositive", wrong)
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


def _unadjusted(frame: pd.DataFrame) -> BoolArray:
    """Returns the rows without an adjusted close though their asset has had one; some assets never have any."""
    if "adj_close" not in frame.columns:
        return np.zeros(len(frame), np.bool_)
    adjusted = frame["adj_close"].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(adjusted)
    since = frame["date"].where(known).groupby(frame["symbol"]).transform("min")
    lacking: BoolArray = np.isinf(adjusted) | (~known & (frame["date"] > since).to_numpy())
    return lacking


def _drop_duplicates(frame: pd.DataFrame, findings: Findings) -> tuple[pd.DataFrame, BoolArray]:
    """Reduces every date and symbol to one row; returns the rows that stand for conflicting ones and must be masked."""
    key = ["date", "symbol"]
    if not frame.duplicated(key).any():
        return frame, np.zeros(len(frame), np.bool_)
    numeric = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    again = frame.duplicated([*key, *numeric]).to_numpy()
    findings.note("duplicate", frame["date"].to_numpy()[again], frame["symbol"].to_numpy()[again], treatment="drop")
    frame = frame[~again]
    conflicting = frame.duplicated(key, keep=False).to_numpy() & ~frame.duplicated(key, keep="last").to_numpy()
    days, symbols = frame["date"].to_numpy()[conflicting], frame["symbol"].to_numpy()[conflicting]
    how = findings.note("duplicate", days, symbols)
    kept = ~frame.duplicated(key, keep="last").to_numpy()
    disputed = frame.duplicated(key, keep=False).to_numpy()[kept]
    return frame[kept], disputed if how == "mask" else np.zeros(int(kept.sum()), np.bool_)


def _clean_assets(panel: Panel, findings: Findings) -> Panel:
    """Leaves out assets with too few bars, in number or in share."""
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
    return panel if kept.all() else panel.select(assets=[str(name) for name in names[kept]])


def _clean_days(panel: Panel, findings: Findings) -> Panel:
    """Leaves out days on which the market was closed."""
    observed = np.isfinite(panel["close"])
    closed = checks.holiday(observed, panel.listed, findings.rules.min_day_share)
    bars, members = observed.sum(axis=1)[closed], panel.listed.sum(axis=1)[closed]
    details = np.array([f"{n} of {m} assets" for n, m in zip(bars, members, strict=True)], dtype=object)
    if findings.note("holiday", panel.dates[closed], None, details) != "drop":
        return panel
    if not closed.any():
        return panel
    if closed.all():
        raise ValueError("quality: every day looks like a holiday; lower min_day_share")
    days = {name: getattr(panel, name)[~closed] for name in ("dates", "values", "listed", "tradable")}
    return _relisted(replace(panel, **days))


def _repair_splits(panel: Panel, findings: Findings) -> Panel:
    """Multiplies the prices before an un-adjusted split by one constant, and divides the volumes."""
    series = _field(panel, "close"), _field_or_none(panel, "open"), _field_or_none(panel, "adj_close")
    exact = checks.split_ratios(*series, findings.rules.split_tolerance)
    ratios = checks.split_ratios(*series, 2 * findings.rules.split_tolerance)
    places = np.argwhere(ratios != 1)
    sure = np.array([exact[t, n] != 1 and _is_split(panel, t, n, exact[t, n]) for t, n in places], dtype=bool)
    treatments = []
    for check, chosen in (("split", places[sure]), ("suspect", places[~sure])):
        day, asset = chosen.T if len(chosen) else np.zeros((2, 0), np.int64)
        details = np.array([_ratio_name(ratios[t, n]) for t, n in chosen], dtype=object)
        names = np.array(panel.assets, dtype=object)[asset]
        treatments.append(findings.note(check, panel.dates[day], names, details))
    if treatments[0] != "repair" or not sure.any():
        return panel
    values = np.array(panel.values)
    scaled = [panel.fields.index(name) for name in (*PRICES, "adj_close") if name in panel.fields]
    for t, n in places[sure]:
        values[:t, n, scaled] /= ratios[t, n]
        values[:t, n, panel.fields.index("volume")] *= ratios[t, n]
    return replace(panel, values=values)


def _is_split(panel: Panel, day: int, asset: int, ratio: float) -> bool:
    """Returns whether calm prices and the volume say that a move is a split and no crash."""
    if "volume" not in panel.fields:
        return False
    calm = checks.outstanding(panel["close"][: day + 1, asset], ratio)
    return calm and checks.volume_confirms(panel["volume"][:, asset], day, ratio)


def _mask_jumps(panel: Panel, findings: Findings) -> Panel:
    close, adjusted = _field(panel, "close"), _field_or_none(panel, "adj_close")
    if adjusted is not None:
        close = np.where(np.isfinite(adjusted) & np.isfinite(close), adjusted, close)
    places = checks.jumps(close, findings.rules.max_jump, findings.rules.confirm_days)
    if findings.note_cells("jump", panel, places) != "mask" or not places.any():
        return panel
    values = np.array(panel.values)
    for name in MASKED:
        if name in panel.fields:
            values[:, :, panel.fields.index(name)][places] = np.nan
    return _relisted(replace(panel, values=values))


def _mark_untradable(panel: Panel, stated: BoolArray, findings: Findings) -> Panel:
    """Applies halts as the source states them, bars without volume, and prices that stand still."""
    observed, volume = np.isfinite(panel["close"]) & panel.listed, _field_or_none(panel, "volume")
    findings.note_cells("halted", panel, observed & ~stated, "untradable")
    tradable = observed & stated
    empty = np.zeros_like(observed) if volume is None else tradable & (volume == 0) & volume_informs(volume)
    bars = np.stack([_field(panel, name) for name in PRICES if name in panel.fields])
    stale = tradable & (checks.stale_run(bars, volume, observed) >= findings.rules.stale_days)
    for check, places in (("zero_volume", empty), ("stale", stale)):
        if findings.note_cells(check, panel, places) == "untradable":
            tradable = tradable & ~places
    return replace(panel, tradable=tradable)


def _report_gaps(bars: pd.DataFrame, panel: Panel, findings: Findings) -> None:
    """Reports the days that have no row at all; a masked bar is no gap."""
    rows = _on_grid(bars[["date", "symbol"]].assign(close=1.0), panel)
    lengths = checks.gap_lengths(np.isfinite(rows["close"]))
    day, asset = np.nonzero(lengths > findings.rules.gap_days)
    details = np.array([f"{length} missing before" for length in lengths[day, asset]], dtype=object)
    findings.note("gap", panel.dates[day], np.array(panel.assets, dtype=object)[asset], details)


def _stated(bars: pd.DataFrame, panel: Panel) -> BoolArray:
    """Returns where the source itself does not rule trading out, on the days and assets of the panel."""
    if "tradable" not in bars.columns:
        return np.ones(panel.listed.shape, np.bool_)
    return _on_grid(bars[["date", "symbol", "tradable"]].assign(close=1.0), panel).tradable


def _on_grid(frame: pd.DataFrame, panel: Panel) -> Panel:
    """Returns the panel of a frame on the days and assets that are left in another."""
    whole = Panel.from_frame(frame).select(assets=panel.assets)
    days = np.isin(whole.dates, panel.dates)
    parts = {name: getattr(whole, name)[days] for name in ("dates", "values", "listed", "tradable")}
    return replace(whole, **parts)


def _relisted(panel: Panel) -> Panel:
    """Narrows the listing of every asset to its first and last remaining bar."""
    observed = np.isfinite(panel["close"])
    started = np.logical_or.accumulate(observed, axis=0)
    ongoing = np.logical_or.accumulate(observed[::-1], axis=0)[::-1]
    listed = panel.listed & started & ongoing
    return replace(panel, listed=listed, tradable=panel.tradable & listed)


def _field(panel: Panel, name: str) -> FloatArray:
    return panel[name].astype(np.float64, copy=False)


def _field_or_none(panel: Panel, name: str) -> FloatArray | None:
    return _field(panel, name) if name in panel.fields else None


def _ratio_name(ratio: float) -> str:
    shares, old = (ratio, 1.0) if ratio >= 1 else (1.0, 1 / ratio)
    scale = 2 if shares % 1 or old % 1 else 1
    return f"{shares * scale:g}:{old * scale:g}"
