"""A synthetic stock market with known factors and a known, predictable signal."""

from market.sources.synthetic.signal import SyntheticMarket
from market.sources.synthetic.source import Events, Synthetic

__all__ = ["Events", "Synthetic", "SyntheticMarket"]
