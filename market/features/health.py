"""Health of inputs: features that are constant, infinite, cut off or missing more often than is good for a learner."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from market.arrays import AnyFloatArray, BoolArray, FloatArray
from market.panel import Panel
from market.storage.scratch import day_blocks

BLOCK = 128  # days looked at together
LIMITS = {"constant": 0.05, "infinite": 0.0, "clipped": 0.10, "missing": 0.20, "absent": 0.10}
"""Shares above which a feature is told of."""
SAME = 1e-3  # standard deviation of scaled values that all assets share


@dataclass(frozen=True)
class Health:
    """Faults of one feature, as shares.

    Attributes:
        name: Of the feature.
        constant: Days on which its scaled value is the same for all assets that can be traded; of a feature of the
            market, which is so by design, 1 where it never changes and else 0.
        infinite: Tradable cells that are infinite before scaling.
        clipped: Tradable cells that the scaler has cut off.
        missing: Tradable cells without a value.
        absent: Assets that never have a value on a tradable day.
    """

    name: str
    constant: float
    infinite: float
    clipped: float
    missing: float
    absent: float

    @property
    def complaints(self) -> tuple[str, ...]:
        """Returns what is beyond its limit, in words."""
        shares = {name: float(getattr(self, name)) for name in LIMITS}
        return tuple(f"{name} {share:.1%}" for name, share in shares.items() if share > LIMITS[name])


class HealthCheck:
    """Looks at features before they are scaled and after, a few days at a time."""

    def __init__(self, raw: Panel) -> None:
        """Looks at what is known before scaling, which may overwrite it."""
        self.names, self.tradable = raw.fields, raw.tradable
        cells = max(1, int(raw.tradable.sum()))
        self.infinite, self.missing = np.zeros(len(raw.fields)), np.zeros(len(raw.fields))
        known = np.zeros((len(raw.assets), len(raw.fields)), np.bool_)
        for rows in day_blocks(raw.values, BLOCK):
            values, there = raw.values[rows], raw.tradable[rows]
            self.infinite += (np.isinf(values) & there[..., None]).sum(axis=(0, 1))
            self.missing += (np.isnan(values) & there[..., None]).sum(axis=(0, 1))
            known |= np.any(np.isfinite(values) & there[..., None], axis=0)
        traded: BoolArray = np.any(raw.tradable, axis=0)
        self.absent = (~known & traded[:, None]).sum(axis=0) / max(1, int(traded.sum()))
        self.infinite, self.missing = self.infinite / cells, self.missing / cells

    def after(self, scaled: AnyFloatArray, clip: float | None) -> tuple[Health, ...]:
        """Returns the health of every feature.

        Args:
            scaled: ``[T, N, F]`` values that a learner is fed with.
            clip: Where the scaler cuts off, None where it does not.
        """
        limit = np.inf if clip is None else clip * (1 - 1e-6)
        clipped, days, flat = np.zeros(len(self.names)), 0, np.zeros(len(self.names))
        low, high = np.full(len(self.names), np.inf), np.full(len(self.names), -np.inf)
        for rows in day_blocks(scaled, BLOCK):
            values, there = scaled[rows], self.tradable[rows]
            clipped += ((np.abs(values) >= limit) & there[..., None]).sum(axis=(0, 1))
            enough = there.sum(axis=1) > 1
            days += int(enough.sum())
            flat += (_deviation(values[enough], there[enough]) < SAME).sum(axis=0)
            low = np.minimum(low, np.where(there[..., None], values, np.inf).min(axis=(0, 1)))
            high = np.maximum(high, np.where(there[..., None], values, -np.inf).max(axis=(0, 1)))
        shared = flat >= days  # says the same of all assets, by design
        constant = np.where(shared, (high - low < SAME).astype(float), flat / max(1, days))
        clipped /= max(1, int(self.tradable.sum()))
        shares = np.stack([constant, self.infinite, clipped, self.missing, self.absent], axis=1).tolist()
        return tuple(Health(name, *own) for name, own in zip(self.names, shares, strict=True))


def health_json(found: tuple[Health, ...]) -> dict[str, Any]:
    """Returns the content of ``features.json``."""
    told = {one.name: list(one.complaints) for one in found if one.complaints}
    return {"limits": LIMITS, "complaints": told, "features": [asdict(one) for one in found]}


def health_rows(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns a line for each feature that is told of, from the content of ``features.json``."""
    told = [(name, ", ".join(lines)) for name, lines in content["complaints"].items()]
    return told or [("features", f"all {len(content['features'])} are within their limits")]


def _deviation(values: AnyFloatArray, there: BoolArray) -> FloatArray:
    """Returns the standard deviation over the assets that are there, ``[T, F]``."""
    count = np.maximum(there.sum(axis=1), 1)[:, None]
    inside = there[..., None]
    mean = np.where(inside, values, 0).sum(axis=1, dtype=np.float64) / count
    square = np.where(inside, values - mean[:, None], 0) ** 2
    deviation: FloatArray = np.sqrt(square.sum(axis=1) / count)
    return deviation
