"""Union of feature sets: their features side by side, for encoders that read one of them as a whole."""

from dataclasses import dataclass

from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.features.alpha360 import Alpha360
from market.features.blocks import compute_features
from market.features.table import Feature
from market.panel import Panel


@dataclass(frozen=True)
class FeatureUnion:
    """The features of several sets, in the order of the sets.

    A feature that several of them have, by name and formula, stands where the last of them has it, so that the last set
    is complete: ``FeatureUnion((Alpha158(), Alpha360()))`` ends in the 60 days of bars that `encoders.bars` reads as a
    sequence.

    Attributes:
        sets: The sets, each with a `table` of formulas.
    """

    sets: tuple[FeatureSet, ...] = (Alpha158(), Alpha360())

    def __post_init__(self) -> None:
        if not self.sets:
            raise ValueError("FeatureUnion: there is no feature set in it; name at least one")
        for one in self.sets:
            if hasattr(type(one), "external"):
                raise ValueError(
                    f"FeatureUnion: {type(one).__name__} has columns of a table, which are no formulas; put it "
                    "outside, as WithColumns(path, lag, base=FeatureUnion(...))"
                )

    def table(self) -> tuple[Feature, ...]:
        """Returns the features of all sets."""
        entries = [entry for each in self.sets for entry in each.table()]
        last = {entry: place for place, entry in enumerate(entries)}
        return tuple(entry for place, entry in enumerate(entries) if last[entry] == place)

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        return compute_features(type(self).__name__, self.table(), panel)
