"""Features: readable tables of name -> formula, computed to a panel.

A feature set is a frozen dataclass with a `table`, so it can stand in a config and be written beside a run. The sets
`market.features.alpha158.Alpha158`, `market.features.alpha360.Alpha360` and `market.features.storm.StormFeatures` take
further features of the user as `extra`; `Formulas` holds only those. A user writes a feature as text or as a small
function:

    def overnight_gap(x):
        return x.open / delay(x.close, 1) - 1

    features = Alpha158(extra=(feature(overnight_gap), Feature("RANGE", "(high - low) / close")))
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from market.features.blocks import compute_features, write_features
from market.features.table import Feature, feature
from market.panel import Panel

__all__ = ["Feature", "FeatureSet", "Formulas", "compute_to", "feature"]


@runtime_checkable
class FeatureSet(Protocol):
    """Anything that names its features and computes them causally."""

    def table(self) -> tuple[Feature, ...]:
        """Returns all features, in the order of the fields of the computed panel."""
        ...

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        ...


@dataclass(frozen=True)
class Formulas:
    """Features of the user and nothing else."""

    features: tuple[Feature, ...]

    def table(self) -> tuple[Feature, ...]:
        """Returns the features as given."""
        return self.features

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        return compute_features("Formulas", self.table(), panel)


def compute_to(features: FeatureSet, panel: Panel, path: str | Path) -> Panel:
    """Computes `features` of `panel` straight into a panel file and returns it, mapped from there.

    The result equals ``features.compute(panel)`` saved and loaded, but never stands in memory as a whole.
    """
    return write_features(type(features).__name__, features.table(), panel, path)
