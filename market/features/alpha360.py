"""Alpha360: qlib's bars of the last 60 days relative to today's, in its definitions, its spelling and its order.

Reference: ``Alpha360DL`` of https://github.com/microsoft/qlib/blob/main/qlib/contrib/data/loader.py.
On a day without volume the volumes relative to it are missing, where qlib divides by 1e-12.
"""

from dataclasses import dataclass

from market.features.blocks import compute_features
from market.features.table import Feature
from market.panel import Panel

DAYS = 60


def _history(field: str, unit: str) -> tuple[Feature, ...]:
    """Returns `field` of each of the last 60 days, the oldest first, in units of today's `unit`."""
    past = (Feature(f"{field.upper()}{k}", f"delay({field}, {k}) / {unit}") for k in range(DAYS - 1, 0, -1))
    return (*past, Feature(f"{field.upper()}0", f"{field} / {unit}"))


_TABLE = (
    *_history("close", "close"),
    *_history("open", "close"),
    *_history("high", "close"),
    *_history("low", "close"),
    *_history("vwap", "close"),
    *_history("volume", "volume"),
)


@dataclass(frozen=True)
class Alpha360:
    """qlib's Alpha360: close, open, high, low, vwap and volume of the last 60 days, divided by today's close or volume.

    Attributes:
        extra: Further features, after the 360.
    """

    extra: tuple[Feature, ...] = ()

    def table(self) -> tuple[Feature, ...]:
        """Returns the 360 features in qlib's order, then the extra ones."""
        return (*_TABLE, *self.extra)

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        return compute_features("Alpha360", self.table(), panel)
