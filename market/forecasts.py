"""Forecasts of a run on valid and test days, kept beside its metrics so that runs can be compared day by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from market.arrays import BoolArray, DateArray, FeatureArray, FloatArray
from market.panel import Panel
from market.storage.array_file import header_dates, header_names, read_arrays, write_arrays

KIND, VERSION = "forecasts", 1


class Forecasts(NamedTuple):
    """Forecasts of all days that were asked for; NaN and false elsewhere."""

    mean: FloatArray  # [T, N]
    std: FloatArray  # [T, N]
    mask: BoolArray  # [T, N]


@dataclass(frozen=True, eq=False)
class ForecastRecord:
    """The forecasts of the best checkpoint, as it made them once training was over.

    Attributes:
        dates: ``[T]``, from the first day of the first part to the last day of the last.
        assets: N names.
        mean: ``[T, N]`` float32; NaN on days between the parts and where an asset is not evaluated.
        std: ``[T, N]`` float32.
        mask: ``[T, N]``, true where the forecast is to be evaluated.
        parts: Rows of each part, by name.
        panel_fingerprint: The panel that was forecast.
    """

    dates: DateArray
    assets: tuple[str, ...]
    mean: FeatureArray
    std: FeatureArray
    mask: BoolArray
    parts: Mapping[str, slice]
    panel_fingerprint: str

    @staticmethod
    def of(panel: Panel, forecasts: Mapping[str, Forecasts], parts: Mapping[str, slice]) -> "ForecastRecord":
        """Returns the record of the forecasts of some parts, each given over all rows of `panel`."""
        start, stop = min(rows.start for rows in parts.values()), max(rows.stop for rows in parts.values())
        mean, std = (np.full((stop - start, len(panel.assets)), np.nan, np.float32) for _ in range(2))
        mask = np.zeros(mean.shape, np.bool_)
        moved = {name: slice(rows.start - start, rows.stop - start) for name, rows in parts.items()}
        for name, rows in moved.items():
            for whole, found in zip((mean, std, mask), forecasts[name], strict=True):
                whole[rows] = found[parts[name]]
        return ForecastRecord(panel.dates[start:stop], panel.assets, mean, std, mask, moved, panel.fingerprint)

    def save(self, path: str | Path) -> None:
        """Writes the file, aside and renamed."""
        header = {
            "kind": KIND,
            "version": VERSION,
            "dates": self.dates.astype(str).tolist(),
            "assets": list(self.assets),
            "parts": {name: [rows.start, rows.stop] for name, rows in self.parts.items()},
            "panel_fingerprint": self.panel_fingerprint,
        }
        write_arrays(path, {"mean": self.mean, "std": self.std, "mask": self.mask}, header)

    @staticmethod
    def load(path: str | Path) -> "ForecastRecord":
        """Reads the file that `save` wrote.

        Raises:
            ValueError: The file is missing, damaged, or of another kind or version.
        """
        arrays, header = read_arrays(path, KIND, VERSION)
        return ForecastRecord(
            dates=header_dates(header),
            assets=header_names(header, "assets"),
            mean=arrays["mean"],
            std=arrays["std"],
            mask=arrays["mask"],
            parts={name: slice(*rows) for name, rows in header["parts"].items()},
            panel_fingerprint=header["panel_fingerprint"],
        )

    def over(self, panel: Panel) -> Forecasts:
        """Returns the forecasts over all rows of the panel that they were made on.

        Raises:
            ValueError: The panel is another one.
        """
        if panel.fingerprint != self.panel_fingerprint:
            raise ValueError("the panel is not the one that was forecast; prepare it as it was, or train again")
        start = int(np.searchsorted(panel.dates, self.dates[0]))
        rows = slice(start, start + len(self.dates))
        mean, std = (np.full((len(panel), len(self.assets)), np.nan) for _ in range(2))
        mask = np.zeros(mean.shape, np.bool_)
        for whole, part in zip((mean, std, mask), (self.mean, self.std, self.mask), strict=True):
            whole[rows] = part
        return Forecasts(mean, std, mask)
