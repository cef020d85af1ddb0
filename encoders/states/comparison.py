"""Comparison of what an encoder says of the same days twice: to the bit, or against a file with its roundings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from encoders.data import EncodedDays
from market.arrays import AnyArray, IntArray
from market.panel import Panel

ROWS = ("asset", "market", "forecast_mean", "forecast_std", "mask", "codes")
ALLOWED = 0.02  # share of days that roundings may move


@dataclass(frozen=True)
class StateComparison:
    """Tells which arrays moved, by how much, and on which day first.

    Attributes:
        panel: Names the days and the assets.
        written: The states by their names in the file, ``[T, ...]``.
        tolerance: Share of a value's standard deviation that counts as moved where rounding may differ.
    """

    panel: Panel
    written: Mapping[str, AnyArray]
    tolerance: float

    def repeated(self, before: EncodedDays, after: EncodedDays, days: IntArray, told: str) -> Iterator[str]:
        """Yields a line for each array in which a bit differs."""
        found = after.arrays()
        for name, array in before.arrays().items():
            if name in ROWS:
                yield from self._described(name, array, found[name], ~equal_values(array, found[name]), days, told)

    def filed(self, found: Mapping[str, AnyArray], days: IntArray, told: str) -> Iterator[str]:
        """Yields a line for each array that differs from the file on more days than roundings explain."""
        for name in ROWS:
            if name not in self.written:
                continue
            kept = np.asarray(self.written[name][days])
            wrong = ~equal_values(kept, found[name])
            if kept.dtype == np.float32:
                scale = float(np.nanstd(kept, dtype=np.float64)) or 1.0
                wrong &= ~(np.abs(kept.astype(np.float64) - found[name]) <= self.tolerance * scale)
            if wrong.reshape(len(days), -1).any(axis=1).sum() > max(1, ALLOWED * len(days)):
                yield from self._described(name, kept, found[name], wrong, days, told)

    def _described(
        self, name: str, before: AnyArray, after: AnyArray, wrong: AnyArray, days: IntArray, told: str
    ) -> Iterator[str]:
        if not wrong.any():
            return
        place = np.argwhere(wrong)[0]
        moved = wrong.reshape(len(days), -1).any(axis=1)
        change = np.abs(before.astype(np.float64) - after)[wrong]
        size = f"up to {np.nanmax(change):.3g}" if np.isfinite(change).any() else "to or from nothing"
        which = "" if name == "market" else f" of {self.panel.assets[place[1]]}"
        yield (
            f"{name} moved by {size} {told}, on {moved.sum()} of {len(days)} days looked at, "
            f"first {self.panel.dates[days[place[0]]]}{which}"
        )


def equal_values(one: AnyArray, other: AnyArray) -> AnyArray:
    """Returns where values are equal; two NaN are."""
    both_missing = (one != one) & (other != other)
    equal: AnyArray = (one == other) | both_missing
    return equal
