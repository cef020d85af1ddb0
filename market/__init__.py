"""Market data as it was known on each day: panels of daily bars, features, labels, splits and states.

The timeline
------------
There is only one. Row ``t`` of every array holds what is known **after the close of day t**. Features, scaler
statistics, states and observations at ``t`` use rows ``<= t`` only. A decision is taken after the close of ``t`` and
filled as the fill convention says:

==============  =====================  ==========================  ==========================  ====================
fill            trade price            earned by the old weights   earned by the new weights   label for horizon h
==============  =====================  ==========================  ==========================  ====================
``close``       close t                none                        close t to close t+1        c[t+h] / c[t] - 1
``next_open``   open t+1               close t to open t+1         open t+1 to close t+1       o[t+1+h] / o[t+1] - 1
``next_close``  close t+1              close t to close t+1        none                        c[t+1+h] / c[t+1] - 1
==============  =====================  ==========================  ==========================  ====================

Axis letters, used in every shape of the project
------------------------------------------------
``B`` batch (days or episodes), ``T`` days, ``L`` look-back days, ``N`` assets, ``F`` features or fields,
``D`` asset-state width, ``M`` market-state width, ``K`` code slots of an asset (or factors, inside a factor model),
``C`` codes of a codebook, ``A`` action width.
"""

import lazy_loader

from market.moved import find_moved_modules
from market.numba_cache import choose_cache

choose_cache()
find_moved_modules()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names are in __init__.pyi
