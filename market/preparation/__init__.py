"""From what a source read to a panel that can be trusted: cleaned, adjusted, restricted to members, resampled."""

from market.preparation.prepare import prepared, read_membership

__all__ = ["prepared", "read_membership"]
