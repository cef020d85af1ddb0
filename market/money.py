"""Money that changed hands, which neither a split nor a dividend of later years moves."""

import numpy as np

from market.arrays import FloatArray
from market.panel import Panel

AMOUNT = "amount"
QUOTED = ("raw_close", "close")


def traded_money(panel: Panel) -> FloatArray:
    """Returns the money traded in each asset on each day, ``[T, N]``; row ``t`` uses row ``t``.

    It is the field ``amount`` where the panel has one, else the quoted close times the volume: ``raw_close``, which
    unlike an adjusted close does not shrink with every dividend to come, or the close where nothing was adjusted. NaN
    where nothing is known, nothing was traded or the asset could not be traded.
    """
    if AMOUNT in panel:
        money = panel[AMOUNT].astype(np.float64)
    else:
        price = next((name for name in QUOTED if name in panel), None)
        if price is None or "volume" not in panel:
            return np.full(panel.shape[:2], np.nan)
        money = panel[price].astype(np.float64) * panel["volume"]
    known: FloatArray = np.where(panel.tradable & np.isfinite(money) & (money > 0), money, np.nan)
    return known
