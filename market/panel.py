"""Panel: dates x assets x fields with masks, the one container of market data and of features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from market.arrays import AnyArray, AnyFloatArray, BoolArray, DateArray, check_dates, check_distinct
from market.calendar import parse_day, periods_per_year
from market.frames import BARS, PRICES, RAW_CLOSE, RAW_VOLUME, frame_parts
from market.storage.array_file import fingerprint, header_dates, header_names, header_object, read_arrays, write_arrays

__all__ = ["BARS", "PRICES", "RAW_CLOSE", "RAW_VOLUME", "VERSION", "Panel", "content_fingerprint", "panel_header"]

VERSION = 1


@dataclass(frozen=True, eq=False)
class Panel:
    """Values of N assets on T days in F fields, with what was listed and what could be traded.

    Row ``t`` holds what is known after the close of day ``t``. A value may be NaN where nothing was observed; the masks
    never are. Slicing and selecting share memory with the original.

    Attributes:
        dates: ``[T] datetime64[D]``, strictly increasing trading days.
        assets: N distinct names.
        fields: F distinct names; prices first (``open, high, low, close, volume``) where there are prices.
        values: ``[T, N, F]``, float64 for prices and float32 for features.
        listed: ``[T, N]``, true where the asset belongs to the market (or the index) that day.
        tradable: ``[T, N]``, true where it can be bought and sold that day; implies `listed`.
        source: Where the data came from, as JSON.
    """

    dates: DateArray
    assets: tuple[str, ...]
    fields: tuple[str, ...]
    values: AnyFloatArray
    listed: BoolArray
    tradable: BoolArray
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        days, names = len(self.dates), len(self.assets)
        if self.values.shape != (days, names, len(self.fields)):
            raise ValueError(
                f"panel: values have shape {self.values.shape}, expected "
                f"({days} dates, {names} assets, {len(self.fields)} fields)"
            )
        for label, mask in (("listed", self.listed), ("tradable", self.tradable)):
            if mask.shape != (days, names) or mask.dtype != np.bool_:
                raise ValueError(f"panel: {label} is {mask.dtype} {mask.shape}, expected bool ({days}, {names})")
        if self.values.dtype not in (np.float32, np.float64):
            raise ValueError(f"panel: values have type {self.values.dtype}, expected float64 or float32")
        check_dates("panel", self.dates)
        check_distinct("panel: assets", self.assets)
        check_distinct("panel: fields", self.fields)
        if (self.tradable & ~self.listed).any():
            day, asset = np.argwhere(self.tradable & ~self.listed)[0]
            raise ValueError(f"panel: {self.assets[asset]} is tradable on {self.dates[day]} without being listed")

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(T, N, F)``."""
        return len(self.dates), len(self.assets), len(self.fields)

    @property
    def fingerprint(self) -> str:
        """The sha256 that identifies the content; equal to the one in the file header."""
        return fingerprint(self._header(), self._arrays())

    @property
    def periods_per_year(self) -> float:
        """Number of rows in a year, from the distance of the dates; see `market.calendar.periods_per_year`."""
        return periods_per_year(self.dates)

    def __len__(self) -> int:
        return len(self.dates)

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    @overload
    def __getitem__(self, key: str) -> AnyFloatArray: ...
    @overload
    def __getitem__(self, key: slice) -> "Panel": ...

    def __getitem__(self, key: str | slice) -> "AnyFloatArray | Panel":
        """Returns one field as ``[T, N]``, or the panel of a range of rows; both share memory with this one."""
        if isinstance(key, slice):
            if key.step not in (None, 1):
                raise ValueError(f"panel: rows must stay consecutive, got a slice with step {key.step}")
            return replace(
                self,
                dates=self.dates[key],
                values=self.values[key],
                listed=self.listed[key],
                tradable=self.tradable[key],
            )
        if key not in self.fields:
            raise ValueError(f"panel: no field '{key}'; it has {', '.join(self.fields[:12])}")
        return self.values[:, :, self.fields.index(key)]

    def rows(self, start: str | None = None, stop: str | None = None) -> slice:
        """Returns the rows from day `start` to day `stop`, both inclusive, as a slice; None means the end."""
        first = 0 if start is None else int(np.searchsorted(self.dates, _day(start)))
        last = len(self) if stop is None else int(np.searchsorted(self.dates, _day(stop), side="right"))
        return slice(first, last)

    def between(self, start: str | None = None, stop: str | None = None) -> "Panel":
        """Returns the days from `start` to `stop`, both inclusive."""
        return self[self.rows(start, stop)]

    def asset_index(self, name: str) -> int:
        """Returns the column of asset `name`; an unknown one is an error that names a few that exist."""
        if name not in self.assets:
            raise ValueError(f"panel: no asset '{name}' among {len(self.assets)}: {', '.join(self.assets[:8])}, ...")
        return self.assets.index(name)

    def select(self, assets: Sequence[str] | None = None, fields: Sequence[str] | None = None) -> "Panel":
        """Returns the panel of the named assets and fields, in the order given."""
        columns = range(len(self.assets)) if assets is None else [self.asset_index(name) for name in assets]
        for name in fields or ():
            self[name]  # names the missing field
        kept = range(len(self.fields)) if fields is None else [self.fields.index(name) for name in fields]
        return replace(
            self,
            assets=tuple(self.assets[n] for n in columns),
            fields=tuple(self.fields[f] for f in kept),
            values=self.values[:, list(columns)][:, :, list(kept)],
            listed=self.listed[:, list(columns)],
            tradable=self.tradable[:, list(columns)],
        )

    @staticmethod
    def from_frame(frame: pd.DataFrame, source: Mapping[str, Any] | None = None) -> "Panel":
        """Builds a panel from a long frame: one row per date and symbol.

        An asset is listed from its first to its last day with a close. It is tradable where it has a close and its
        volume is not zero, unless its volume is zero or unknown on every day (currencies, indices). Columns ``listed``
        and ``tradable``, if given, narrow both. A row that is absent is a listed day without a bar: its values are NaN
        and it is not tradable. A price of zero or below is no price: nothing trades at it, and what is held keeps its
        last good one. `market.clean` masks and counts such rows.

        Args:
            frame: Columns ``date``, ``symbol``, ``close`` and any other numeric ones, in any row order. Columns of
                text are left out and named in ``source["ignored_columns"]``.
            source: Where the frame came from, as JSON.

        Raises:
            ValueError: A column is missing or of text, a date is not a day, or a (date, symbol) pair stands twice.
        """
        known = dict(source or {})
        return Panel(*frame_parts(frame, known), known)

    def to_frame(self) -> pd.DataFrame:
        """Returns the long frame of all listed cells, sorted by symbol and date, with both masks as columns.

        `from_frame` turns it back into an equal panel (in float64, assets in alphabetical order) as long as every day
        has a listed asset, every asset a close on its first and last listed day, and unlisted cells no values.
        """
        asset, day = np.nonzero(self.listed.T)
        columns: dict[str, AnyArray] = {"date": self.dates[day], "symbol": np.array(self.assets, dtype=object)[asset]}
        for k, name in enumerate(self.fields):
            columns[name] = self.values[day, asset, k]
        columns["listed"], columns["tradable"] = self.listed[day, asset], self.tradable[day, asset]
        return pd.DataFrame(columns)

    def save(self, path: str | Path) -> str:
        """Writes ``panel.safetensors`` (aside, then renamed) and returns its fingerprint."""
        return write_arrays(path, self._arrays(), self._header())

    @staticmethod
    def load(path: str | Path, verify: bool = True) -> "Panel":
        """Reads a panel file, mapped into memory and read-only.

        Raises:
            ValueError: The file is missing, damaged, of another kind or version, or its parts do not fit together.
        """
        arrays, header = read_arrays(path, "panel", VERSION, verify)
        try:
            return Panel(
                dates=header_dates(header),
                assets=header_names(header, "assets"),
                fields=header_names(header, "fields"),
                values=arrays["values"],
                listed=arrays["listed"],
                tradable=arrays["tradable"],
                source=header_object(header, "source"),
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error} is missing; write the panel again") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _arrays(self) -> dict[str, AnyArray]:
        return {"values": self.values, "listed": self.listed, "tradable": self.tradable}

    def _header(self) -> dict[str, Any]:
        return panel_header(self.dates, self.assets, self.fields, self.source)


def content_fingerprint(panel: Panel) -> str:
    """Returns the fingerprint of a panel wherever it came from: of dates, assets, fields, values and masks alone."""
    return replace(panel, source={}).fingerprint


def panel_header(
    dates: DateArray, assets: Sequence[str], fields: Sequence[str], source: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the JSON header of a panel file."""
    return {
        "kind": "panel",
        "version": VERSION,
        "dates": dates.astype(str).tolist(),
        "assets": list(assets),
        "fields": list(fields),
        "source": dict(source),
    }


def _day(text: str) -> np.datetime64:
    day = parse_day(str(text))  # numpy would take a year for its first of January
    if day is None:
        raise ValueError(f"panel: '{text}' is not a day; write it as YYYY-MM-DD")
    return np.datetime64(day)
