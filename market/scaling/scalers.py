"""Scaling of features: fitted on train days only, or causal by construction.

A configuration (`RobustZScore`, `CrossSectionalZScore`, `CrossSectionalRank`, `TrailingZScore`) is fitted on the train
days of a feature panel and gives a `Scaler`. What the scaler has learnt, if anything, goes into a checkpoint as plain
arrays, and `restore` builds the scaler again from them.

Scaled features are float32 and always finite: a value that is unknown (NaN, infinite, or of an asset that is not listed
that day) becomes 0, the centre. A feature without spread is 0 everywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from market.arrays import AnyArray, AnyFloatArray, BoolArray, FeatureArray, FloatArray
from market.panel import Panel
from market.scaling.cross_section import cross_sectional_rank, cross_sectional_zscore, write_zscores
from market.scaling.trailing import trailing_zscore
from market.storage import scratch
from market.storage.array_file import release_pages

MAD_TO_STD = 1.4826  # the standard deviation of a normal variable over its median absolute deviation
BLOCK_CELLS = 1 << 22  # cells scaled at once, which bounds the memory beside the result
STRIPE = 128  # assets scaled at once where values lie in a file
FEATURE_GROUP = 16  # features fitted at once: one cache line of float32


@dataclass(frozen=True)
class Scaler(ABC):
    """Turns raw features into scaled ones; row ``t`` of the result uses rows ``<= t`` and what was fitted.

    Attributes:
        fields: Names of the features, in order.
        clip: Scaled values are cut off at plus and minus this; None leaves them.
    """

    fields: tuple[str, ...]
    clip: float | None

    def transform(self, features: Panel) -> Panel:
        """Returns the panel with scaled values: float32, finite, 0 where unknown.

        Raises:
            ValueError: The features are not those that the scaler was fitted on.
        """
        self._check(features)
        scaled = scratch.empty(features.shape, np.float32)
        self._write(features.values, features.listed, scaled)
        return replace(features, values=scaled)

    def overwrite(self, features: Panel) -> Panel:
        """Returns what `transform` does, written over the values of `features`, which are gone afterwards.

        Features are by far the largest array of a run; this way there is one of them. Values that cannot be written
        to, or are not float32, are left alone, and the result is a new array.

        Raises:
            ValueError: As `transform`.
        """
        self._check(features)
        values = features.values
        scaled = (
            values if values.flags.writeable and values.dtype == np.float32 else scratch.empty(values.shape, np.float32)
        )
        self._write(values, features.listed, scaled)
        return replace(features, values=scaled)

    def _check(self, features: Panel) -> None:
        if features.fields != self.fields:
            odd = sorted(set(features.fields) ^ set(self.fields)) or ["the same names in another order"]
            raise ValueError(
                f"scaler: fitted on {len(self.fields)} features, got {len(features.fields)}; they differ in "
                f"{', '.join(odd[:4])}; compute the features as they were for the fit"
            )

    def arrays(self) -> dict[str, AnyArray]:
        """Returns what was fitted, by name; empty where nothing was."""
        return {}

    @abstractmethod
    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        """Scales `values` into `scaled`, which may be the same array."""


@runtime_checkable
class Scaling(Protocol):
    """A configuration of scaling."""

    def fit(self, features: Panel, days: slice) -> Scaler:
        """Returns the scaler fitted on the rows `days`; rows outside it do not move it."""
        ...

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> Scaler:
        """Returns the scaler that was fitted earlier and whose `Scaler.arrays` were kept."""
        ...


@dataclass(frozen=True)
class RobustZScore:
    """Each feature less its median over train, over 1.4826 times its median absolute deviation there.

    All listed cells of the train days are pooled, as in qlib's ``RobustZScoreNorm``. A feature of which more than half
    is one value has no such deviation; its root mean square distance from the median stands in.

    Attributes:
        clip: Scaled values are cut off at plus and minus this; None leaves them.
    """

    clip: float | None = 3.0

    def __post_init__(self) -> None:
        _check_clip(self.clip)

    def fit(self, features: Panel, days: slice) -> "AffineScaler":
        """Returns the scaler of the rows `days`; a feature never known there is scaled to 0.

        Raises:
            ValueError: No asset is listed in these rows.
        """
        values, listed = features.values[days], features.listed[days]
        count = int(listed.sum())
        if not count:
            raise ValueError(f"scaling: no asset is listed in rows {days.start} to {days.stop}; fit on other days")
        centre, scale = np.zeros(len(features.fields)), np.zeros(len(features.fields))
        for first in range(0, len(features.fields), FEATURE_GROUP):
            group = slice(first, first + FEATURE_GROUP)
            cells = np.empty((len(features.fields[group]), count), values.dtype)  # [group, listed cells]
            done = 0
            for rows in scratch.day_blocks(values):
                block = values[rows][:, :, group][listed[rows]].T
                cells[:, done : done + block.shape[1]] = block
                done += block.shape[1]
            for f, feature in enumerate(cells, start=first):
                centre[f], scale[f] = _median_and_spread(feature)
        return AffineScaler(features.fields, self.clip, centre, scale)

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "AffineScaler":
        """Returns the scaler with the medians and deviations in `arrays`."""
        for name in ("centre", "scale"):
            shape = arrays[name].shape if name in arrays else None
            if shape != (len(fields),):
                raise ValueError(f"scaling: array '{name}' has shape {shape}, expected ({len(fields)},); fit it again")
        return AffineScaler(fields, self.clip, arrays["centre"], arrays["scale"])


@dataclass(frozen=True)
class CrossSectionalZScore:
    """Each feature less its mean over the listed assets of the day, over their standard deviation.

    Attributes:
        clip: Scaled values are cut off at plus and minus this; None leaves them.
    """

    clip: float | None = 3.0

    def __post_init__(self) -> None:
        _check_clip(self.clip)

    def fit(self, features: Panel, days: slice) -> "DailyScaler":
        """Returns the scaler; nothing is fitted."""
        return self.restore(features.fields, {})

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "DailyScaler":
        """Returns the scaler."""
        return DailyScaler(fields, self.clip, cross_sectional_zscore)


@dataclass(frozen=True)
class CrossSectionalRank:
    """Each feature's centred rank among the listed assets of the day (`cross_sectional_rank`), within ±1.74."""

    def fit(self, features: Panel, days: slice) -> "DailyScaler":
        """Returns the scaler; nothing is fitted."""
        return self.restore(features.fields, {})

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "DailyScaler":
        """Returns the scaler."""
        return DailyScaler(fields, None, cross_sectional_rank)


@dataclass(frozen=True)
class TrailingZScore:
    """Each feature of each asset less its own mean over the last days, over its standard deviation (population) there.

    Attributes:
        window: Days looked back on, today included; days without a value do not count.
        clip: Scaled values are cut off at plus and minus this; None leaves them.
    """

    window: int = 60
    clip: float | None = 3.0

    def __post_init__(self) -> None:
        _check_clip(self.clip)
        if self.window < 2:
            raise ValueError(f"scaling: window is {self.window} days, expected at least 2")

    def fit(self, features: Panel, days: slice) -> "TrailingScaler":
        """Returns the scaler; nothing is fitted."""
        return self.restore(features.fields, {})

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "TrailingScaler":
        """Returns the scaler."""
        return TrailingScaler(fields, self.clip, self.window)


@dataclass(frozen=True, eq=False)
class AffineScaler(Scaler):
    """``(value - centre) / scale`` with one centre and scale a feature, ``[F]`` each."""

    centre: FloatArray
    scale: FloatArray

    def arrays(self) -> dict[str, AnyArray]:
        """Returns ``centre`` and ``scale``."""
        return {"centre": self.centre, "scale": self.scale}

    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        divisor = np.where(self.scale > 0, self.scale, np.inf)  # without spread: 0
        for rows in _blocks(values, scaled):
            known = _known(values[rows], listed[rows])
            _settle((np.where(known, values[rows], 0) - self.centre) / divisor, known, self.clip, scaled[rows])


@dataclass(frozen=True, eq=False)
class DailyScaler(Scaler):
    """A cross-sectional transform of each day by itself."""

    function: Callable[[AnyFloatArray, int], AnyFloatArray]

    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        for rows in _blocks(values, scaled):
            if self.function is cross_sectional_zscore:
                write_zscores(np.asarray(values[rows]), listed[rows], _limit(self.clip), np.asarray(scaled[rows]))
                continue
            known = _known(values[rows], listed[rows])
            _settle(self.function(np.where(known, values[rows], np.nan), 1), known, self.clip, scaled[rows])


@dataclass(frozen=True)
class TrailingScaler(Scaler):
    """A z-score against an asset's own last `window` days."""

    window: int

    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        stripe = max(1, STRIPE if scaled.nbytes >= scratch.LARGE else scaled.shape[1])
        for first in range(0, scaled.shape[1], stripe):
            own = slice(first, first + stripe)
            trailing_zscore(values[:, own], listed[:, own], self.window, _limit(self.clip), scaled[:, own])
            release_pages(values)
            release_pages(scaled)


def _check_clip(clip: float | None) -> None:
    if clip is not None and not clip > 0:
        raise ValueError(f"scaling: clip is {clip}, expected a positive number or None")


def _limit(clip: float | None) -> float:
    return float(np.finfo(np.float32).max) if clip is None else clip


def _median_and_spread(values: AnyFloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return 0.0, 0.0
    centre = float(np.median(known, overwrite_input=True))
    distance = np.abs(known - centre)
    root_mean_square = float(np.sqrt(np.mean(np.square(distance))))
    return centre, MAD_TO_STD * float(np.median(distance, overwrite_input=True)) or root_mean_square


def _blocks(values: AnyFloatArray, scaled: FeatureArray) -> Iterator[slice]:
    """Yields ranges of days of bounded size, and lets go of the pages of each after it where they lie in a file."""
    days = max(1, BLOCK_CELLS // max(1, scaled[:1].size))
    for first in range(0, len(scaled), days):
        yield slice(first, first + days)
        release_pages(values)
        release_pages(scaled)


def _known(values: AnyFloatArray, listed: BoolArray) -> BoolArray:
    known: BoolArray = np.isfinite(values)
    known &= listed[:, :, None]
    return known


def _settle(block: AnyFloatArray, known: BoolArray, clip: float | None, scaled: FeatureArray) -> None:
    """Writes the block, cut off and with 0 where nothing is known."""
    block[~known] = 0
    scaled[...] = np.clip(block, -_limit(clip), _limit(clip), out=block)
