"""Scaling of some columns of a feature panel in one way and of others in another, and of some not at all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from market.arrays import AnyArray, AnyFloatArray, BoolArray, FeatureArray
from market.panel import Panel
from market.scaling.scalers import Scaler, Scaling


@dataclass(frozen=True)
class NoScaling:
    """Features as they are; what is unknown becomes 0, as everywhere."""

    def fit(self, features: Panel, days: slice) -> "PlainScaler":
        """Returns the scaler; nothing is fitted."""
        return self.restore(features.fields, {})

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "PlainScaler":
        """Returns the scaler."""
        return PlainScaler(fields, None)


@dataclass(frozen=True)
class PlainScaler(Scaler):
    """Lets values through."""

    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        np.copyto(scaled, values)
        scaled[~(np.isfinite(scaled) & listed[..., None])] = 0.0


@dataclass(frozen=True)
class PrefixScaling:
    """How the features are scaled whose names begin with `prefix`."""

    prefix: str
    scaling: Scaling


@dataclass(frozen=True)
class ScalingByName:
    """Groups of neighbouring features scaled each in its own way.

    Attributes:
        rest: Scaling of the features before those that are named.
        named: Scalings of the features after them, in the order of the columns.
    """

    rest: Scaling
    named: tuple[PrefixScaling, ...]

    def fit(self, features: Panel, days: slice) -> "GroupScaler":
        """Returns the scaler; each group is fitted on the rows `days` alone.

        Raises:
            ValueError: A prefix names no feature, or features that do not stand side by side.
        """
        groups = self._groups(features.fields)
        fitted = [scaling.fit(_columns(features, columns), days) for scaling, columns in groups]
        return GroupScaler(features.fields, None, tuple(fitted))

    def restore(self, fields: tuple[str, ...], arrays: Mapping[str, AnyArray]) -> "GroupScaler":
        """Returns the scaler with what each group had learnt."""
        restored = []
        for number, (scaling, columns) in enumerate(self._groups(fields)):
            start = f"{number}/"
            own = {name[len(start) :]: array[columns] for name, array in arrays.items() if name.startswith(start)}
            restored.append(scaling.restore(fields[columns], own))
        return GroupScaler(fields, None, tuple(restored))

    def _groups(self, fields: tuple[str, ...]) -> list[tuple[Scaling, slice]]:
        groups: list[tuple[Scaling, slice]] = []
        stop = len(fields)
        for each in reversed(self.named):
            places = [k for k, name in enumerate(fields[:stop]) if name.startswith(each.prefix)]
            if not places or places != list(range(places[0], stop)):
                raise ValueError(
                    f"scaling: features '{each.prefix}...' are columns {places[:3]} of {len(fields)}, expected the "
                    f"last before column {stop}; name the groups in the order of the columns"
                )
            groups.insert(0, (each.scaling, slice(places[0], stop)))
            stop = places[0]
        return [(self.rest, slice(0, stop)), *groups]


@dataclass(frozen=True, eq=False)
class GroupScaler(Scaler):
    """The scalers of neighbouring groups of features, side by side."""

    groups: tuple[Scaler, ...]

    def arrays(self) -> dict[str, AnyArray]:
        """Returns what each group has fitted, one entry a feature, NaN for those of other groups."""
        found: dict[str, AnyArray] = {}
        start = 0
        for number, group in enumerate(self.groups):
            for name, array in group.arrays().items():
                whole = np.full(len(self.fields), np.nan)
                whole[start : start + len(array)] = array
                found[f"{number}/{name}"] = whole
            start += len(group.fields)
        return found

    def _write(self, values: AnyFloatArray, listed: BoolArray, scaled: FeatureArray) -> None:
        start = 0
        for group in self.groups:
            columns = slice(start, start + len(group.fields))
            group._write(values[..., columns], listed, scaled[..., columns])
            start = columns.stop


def _columns(features: Panel, columns: slice) -> Panel:
    """Returns a range of columns, which share memory with all of them."""
    return Panel(
        features.dates,
        features.assets,
        features.fields[columns],
        features.values[..., columns],
        features.listed,
        features.tradable,
    )
