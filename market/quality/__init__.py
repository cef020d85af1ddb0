"""Quality of daily bars: every kind of dirt is found, treated by a stated rule, and reported with its places.

`clean` turns a long frame into a panel and a report. A rule treats what a check finds in one of these ways:

==============  ========================================================================================
``drop``        the rows, the day or the asset are left out
``repair``      a value is replaced by one that follows from the others
``mask``        the bar becomes NaN and cannot be traded
``untradable``  the values stay, the asset cannot be traded that day
``keep``        reported, nothing changes
``refuse``      a ValueError names the first place
==============  ========================================================================================

Causality: what happens to a bar of day t depends on rows up to t only, so cleaning a frame cut at t gives the cleaned
panel cut at t. There are three exceptions, none of which can tell a model where prices go:

- ``split``: found from day t and the days before it, repaired by multiplying all *earlier* prices of the asset by one
  constant, which changes no return but the false one;
- ``short`` and ``coverage``: an asset is left out as a whole, like one that was never downloaded;
- ``holiday`` and ``weekend``: a day on which the market was closed is no row at all.

(That an asset is listed up to its last bar, as `Panel.from_frame` says, is as old as the panel itself.)
"""

from market.quality.cleaning import clean
from market.quality.report import Place, QualityFinding, Report
from market.quality.rules import Rules

__all__ = ["Place", "QualityFinding", "Report", "Rules", "clean"]
