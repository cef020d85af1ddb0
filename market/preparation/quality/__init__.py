"""Quality of daily bars: every kind of dirt is found, treated by a stated rule, and reported with its places.

`clean` turns a long frame into a panel and a report. A rule treats what a check finds in one of these ways:

==============  ========================================================================================
``drop``        the rows, the day or the asset are left out
``repair``      a value is replaced by one that follows from the others
``mask``        the bar becomes NaN and cannot be traded
``cut``         the listing ends with the last good bar, and another one begins
``untradable``  the values stay, the asset cannot be traded that day
``keep``        reported, nothing changes
``refuse``      a ValueError names the first place
==============  ========================================================================================

Corporate actions are data: what the user's list, the vendor's columns or ``adj_close`` say of splits and dividends is
undone, and outranks all guesses. Only where nobody knows are splits guessed, and only where all evidence agrees. A
break of the price level that nothing explains is cut: no return spans it.

Causality: what happens to a bar of day t depends on rows up to t only, so cleaning a frame cut at t gives the cleaned
panel cut at t. There are these exceptions, none of which can tell a model where prices go:

- ``split`` and ``dividend``: all *earlier* prices of the asset are multiplied by one constant, which changes no return
  but the false one; companies announce them beforehand, and a guess needs the five bars after the day;
- ``glitch``, ``pending``, ``jump``: a bar far from its past is masked, kept, or begins another listing by what the next
  four bars say; until they are there it is masked. Nobody can trade at such a bar either way;
- ``short``, ``coverage`` and ``additive``: an asset is left out as a whole, like one that was never downloaded; whether
  a volume is ever known, and whether volumes and prices are quoted or adjusted, are facts of a vendor;
- ``holiday``, ``weekend``, ``calendar`` and ``ragged``: a day on which the market was closed is no row at all, nor is
  the last one while vendors still fill it.

(That an asset is listed up to its last bar, as `Panel.from_frame` says, is as old as the panel itself.)
"""

from market.preparation.quality.cleaning import clean
from market.preparation.quality.listings import ticker_of
from market.preparation.quality.report import Place, QualityFinding, Report
from market.preparation.quality.rules import Rules

__all__ = ["Place", "QualityFinding", "Report", "Rules", "clean", "ticker_of"]
