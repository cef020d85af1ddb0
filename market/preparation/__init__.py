"""From what a source read to a panel that can be trusted: cleaned, adjusted, restricted to members, resampled."""

from market.preparation.lists import read_membership, read_splits
from market.preparation.prepare import prepared

__all__ = ["prepared", "read_membership", "read_splits"]
