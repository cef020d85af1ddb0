"""From what a source read to a panel that everything else can trust: clean, adjust, restrict, resample."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from market.panel import Panel
from market.preparation.adjustment import adjusted
from market.preparation.membership import membership_coverage, with_membership
from market.preparation.resampling import Frequency, resample
from market.quality import Report, Rules, clean


def prepared(
    frame: pd.DataFrame,
    rules: Rules,
    adjust: bool = True,
    membership: pd.DataFrame | None = None,
    frequency: Frequency = "d",
    start: str | None = None,
    stop: str | None = None,
    splits: pd.DataFrame | None = None,
) -> tuple[Panel, Report]:
    """Returns the panel of `frame` and the report of what was wrong with it.

    The order is fixed: splits are undone and rows cleaned by `rules`; prices are adjusted through ``adj_close`` where
    there is one, or for a column ``dividend``; membership narrows what is listed, and the report counts members without
    a bar; days outside `start` to `stop` (inclusive) are dropped; bars are resampled.

    Args:
        frame: Long frame of bars, as `market.quality.clean` takes it.
        rules: What counts as dirt, and what is done about each kind.
        adjust: Apply dividends; splits are undone either way.
        membership: Intervals ``symbol, start, end``; None lists every asset with bars.
        frequency: Length of a bar.
        start: First day to keep.
        stop: Last day to keep.
        splits: The user's own list of splits, ``symbol, date, ratio``, which outranks all else.

    Raises:
        ValueError: A rule refuses the data, or nothing is left of it.
    """
    panel, report = clean(frame, rules, splits=splits, dividends=adjust)
    if adjust and "adj_close" in panel:
        panel = adjusted(panel)
    if membership is not None:
        panel = with_membership(panel, membership)
        report = replace(report, membership=membership_coverage(panel, membership))
    panel = panel.between(start, stop)
    if not len(panel) or not panel.listed.any():
        raise ValueError(
            f"panel: nothing is listed from {start or 'the start'} to {stop or 'the end'}; widen the range"
        )
    return resample(panel, frequency) if frequency != "d" else panel, report


def read_membership(path: str | Path) -> pd.DataFrame:
    """Returns membership intervals (``symbol, start, end``, or ``start_date, end_date``) from a CSV or Parquet table.

    Raises:
        ValueError: The file is missing or lacks one of the three columns.
    """
    return _table(path, {"start_date": "start", "end_date": "end"}, ("symbol", "start", "end"))


def read_splits(path: str | Path) -> pd.DataFrame:
    """Returns a list of splits, ``symbol, date, ratio`` (new shares for one old share), from a CSV or Parquet table.

    A ratio may be written as ``3:2`` or ``3/2``. In the place of a ratio the file may hold cumulative factors that grow
    with every action, as baostock's ``backAdjustFactor`` does; the first one of a symbol counts from 1.

    Raises:
        ValueError: The file is missing, lacks a column, or a ratio is no positive number.
    """
    frame = _table(path, _SPLIT_SPELLINGS, ("symbol", "date"))
    if "ratio" not in frame and "factor" in frame:
        frame = frame.sort_values(["symbol", "date"])
        factor = frame["factor"].astype(float)
        frame["ratio"] = factor / factor.groupby(frame["symbol"]).shift().fillna(1.0)
    if "ratio" not in frame:
        raise ValueError(
            f"{path}: no column 'ratio' among {', '.join(map(str, frame.columns))}; rename the one that is"
        )
    ratios = [_ratio(cell) for cell in frame["ratio"]]
    wrong = [k for k, ratio in enumerate(ratios) if not (math.isfinite(ratio) and ratio > 0)]
    if wrong:
        row = frame.iloc[wrong[0]]
        raise ValueError(
            f"{path}: the ratio of {row['symbol']} on {row['date']} is '{row['ratio']}', expected new shares for one "
            "old share, as 2 or 3:2"
        )
    return frame.assign(ratio=ratios)[["symbol", "date", "ratio"]]


_SPLIT_SPELLINGS = {
    **dict.fromkeys(("ticker", "code", "ts_code"), "symbol"),
    **dict.fromkeys(("dividOperateDate", "ex_date", "execution_date", "day"), "date"),
    **dict.fromkeys(("split", "splits", "Stock Splits", "split_ratio", "split_coefficient"), "ratio"),
    **dict.fromkeys(("backAdjustFactor", "back_adjust_factor", "adj_factor"), "factor"),
}


def _ratio(cell: object) -> float:
    parts = str(cell).replace("/", ":").split(":")
    try:
        return float(parts[0]) / float(parts[1]) if len(parts) == 2 else float(parts[0])
    except (ValueError, ZeroDivisionError):
        return math.nan


def _table(path: str | Path, spellings: Mapping[str, str], needed: Sequence[str]) -> pd.DataFrame:
    """Reads a table whose symbols are names: one called NA is no missing value."""
    try:
        frame = pd.read_parquet(path) if str(path).endswith(".parquet") else _read_csv(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name a table with {', '.join(needed)}") from None
    frame = frame.rename(columns={name: meant for name, meant in spellings.items() if meant not in frame.columns})
    for name in needed:
        if name not in frame.columns:
            raise ValueError(
                f"{path}: no column '{name}' among {', '.join(map(str, frame.columns))}; rename the one that is"
            )
    return frame


def _read_csv(path: str | Path) -> pd.DataFrame:
    frame = pd.read_csv(path, keep_default_na=False, na_values={"": [""]}, dtype=str)
    return frame.mask(frame == "")
