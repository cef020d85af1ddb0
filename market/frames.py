"""Long tables to the aligned parts of a panel: one row per date and symbol becomes one cell."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from market.arrays import AnyArray, AnyFloatArray, BoolArray, DateArray, FloatArray, check_distinct

PRICES = ("open", "high", "low", "close")
RAW_CLOSE, RAW_VOLUME = "raw_close", "raw_volume"  # as they were quoted, before anything was adjusted
BARS = (*PRICES, "volume")
KEYS = ("date", "symbol", "listed", "tradable")
"""Columns that say where a row belongs, and do not become fields."""

_OFFSET = re.compile(r"(?<=:[0-9]{2}) ?[+-][0-9]{2}:?[0-9]{2}$")  # of a clock from Greenwich, as in 00:00:00-05:00


class FrameParts(NamedTuple):
    """Parts of a panel: dates, assets and fields, values ``[T, N, F]``, and the masks ``[T, N]``."""

    dates: DateArray
    assets: tuple[str, ...]
    fields: tuple[str, ...]
    values: FloatArray
    listed: BoolArray
    tradable: BoolArray


def frame_parts(frame: pd.DataFrame, source: dict[str, Any]) -> FrameParts:
    """Returns the parts of a panel; text columns are left out and named in ``source["ignored_columns"]``.

    Raises:
        ValueError: As `market.panel.Panel.from_frame`, which documents the rules.
    """
    for name in ("date", "symbol", "close"):
        if name not in frame.columns:
            raise ValueError(
                f"frame: no column '{name}' among {list(map(str, frame.columns))}; rename the one that holds it"
            )
    if not len(frame):
        raise ValueError("frame: it has no rows; a panel needs at least one bar")
    check_distinct("frame: columns", list(map(str, frame.columns)))
    days = _days(frame["date"])
    if frame["symbol"].isna().any():
        raise ValueError(
            f"frame: column 'symbol' is empty in {int(frame['symbol'].isna().sum())} rows; drop or fill them"
        )
    symbols = frame["symbol"].astype(str).to_numpy(dtype=object)
    dates, row = np.unique(days, return_inverse=True)
    assets, column = np.unique(symbols, return_inverse=True)
    _refuse_duplicates(row * len(assets) + column, dates, assets)
    fields = _numeric_columns(frame, source)
    values = np.full((len(dates), len(assets), len(fields)), np.nan)
    for k, numbers in enumerate(fields.values()):
        values[row, column, k] = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    names = tuple(fields)
    listed, tradable = _masks(frame, values, names, row, column)
    return FrameParts(dates, tuple(map(str, assets)), names, values, listed, tradable)


def _days(column: "pd.Series[Any]") -> DateArray:
    if pd.api.types.is_numeric_dtype(column):
        raise ValueError(
            f"frame: column 'date' holds numbers such as {column.iloc[0]}; turn them into dates, "
            "for example with pd.to_datetime(frame['date'].astype(str))"
        )
    stamps = _stamps(column)
    if stamps.isna().any():
        raise ValueError(f"frame: column 'date' is empty in {int(stamps.isna().sum())} rows; drop or fill them")
    if getattr(stamps.dt, "tz", None) is not None:
        stamps = stamps.dt.tz_localize(None)
    days = stamps.to_numpy().astype("datetime64[D]")
    clock = stamps.to_numpy() != days.astype(stamps.to_numpy().dtype)
    if clock.any():
        first = stamps.iloc[int(clock.argmax())]
        raise ValueError(f"frame: column 'date' holds {first}, a time within the day; bars must be daily")
    return days


def _stamps(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns points in time, as the clock of their own place shows them."""
    if pd.api.types.is_string_dtype(column):  # text: summer and winter time do not mix in one type
        column = column.str.replace(_OFFSET, "", regex=True)
    try:
        return pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"frame: column 'date' holds something that is not a date ({reason}); correct it") from None


def _refuse_duplicates(cell: AnyArray, dates: DateArray, assets: AnyArray) -> None:
    unique, counts = np.unique(cell, return_counts=True)
    if (counts > 1).any():
        day, asset = divmod(int(unique[counts > 1][0]), len(assets))
        raise ValueError(
            f"frame: {assets[asset]} has {int(counts[counts > 1][0])} rows on {dates[day]} "
            f"({int((counts > 1).sum())} such cells); keep one (market.preparation.quality.clean does)"
        )


def _numeric_columns(frame: pd.DataFrame, source: dict[str, Any]) -> Mapping[str, "pd.Series[Any]"]:
    """Returns the columns of numbers by name, bars first; numbers may stand in a column of Python objects."""
    columns = {str(name): frame[name].infer_objects() for name in frame.columns if name not in KEYS}
    text = [name for name, column in columns.items() if not pd.api.types.is_numeric_dtype(column)]
    wrong = [name for name in text if name in BARS]
    if wrong:
        raise ValueError(f"frame: column '{wrong[0]}' holds text, expected numbers; parse it first")
    if text:
        source["ignored_columns"] = text
    numeric = [name for name in columns if name not in text]
    ordered = (*(name for name in BARS if name in numeric), *(name for name in numeric if name not in BARS))
    return {name: columns[name] for name in ordered}


def volume_informs(volume: AnyFloatArray) -> BoolArray:
    """Returns of which assets ``[N]`` the volume ``[T, N]`` says whether they traded.

    Currencies and indices come with a volume of 0 on every day, which says nothing.
    """
    informs: BoolArray = np.asarray((volume > 0).any(axis=0), dtype=np.bool_)
    return informs


def _masks(
    frame: pd.DataFrame, values: AnyFloatArray, names: tuple[str, ...], row: AnyArray, column: AnyArray
) -> tuple[BoolArray, BoolArray]:
    observed = np.isfinite(values[:, :, names.index("close")])
    started = np.logical_or.accumulate(observed, axis=0)
    ongoing = np.logical_or.accumulate(observed[::-1], axis=0)[::-1]
    listed = started & ongoing
    tradable = observed.copy()
    if "volume" in names:
        volume = values[:, :, names.index("volume")]
        tradable &= np.where(volume_informs(volume), volume != 0, True)
    for name, mask in (("listed", listed), ("tradable", tradable)):
        if name in frame.columns:
            if not frame[name].isin([True, False]).all():
                raise ValueError(f"frame: column '{name}' holds something other than true and false; correct it")
            given = np.zeros_like(mask)
            given[row, column] = frame[name].to_numpy(dtype=bool)
            mask &= given
    return listed, tradable & listed
