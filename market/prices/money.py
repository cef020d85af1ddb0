"""Money that changed hands, which neither a split nor a dividend of later years moves."""

import numpy as np

from market.arrays import FloatArray
from market.panel import RAW_CLOSE, Panel
from market.prices.fills import carried_forward, marked_prices

AMOUNT = "amount"
PRICES, VOLUMES = ("raw_close", "close"), ("raw_volume", "volume")
"""Fields of the price, as quoted before as adjusted."""


def traded_money(panel: Panel) -> FloatArray:
    """Returns the money traded in each asset on each day, ``[T, N]``; row ``t`` uses row ``t``.

    It is the field ``amount`` where that is known, else the quoted close times the quoted volume: ``raw_close`` and
    ``raw_volume``, which unlike adjusted ones do not change with every split and dividend to come, or close and volume
    where nothing was adjusted. NaN where nothing is known, nothing was traded or the asset could not be traded.
    """
    money = np.full(panel.shape[:2], np.nan)
    if AMOUNT in panel:
        money = panel[AMOUNT].astype(np.float64)
    price, volume = (next((name for name in names if name in panel), None) for names in (PRICES, VOLUMES))
    if price is not None and volume is not None:
        money = np.where(np.isfinite(money), money, panel[price].astype(np.float64) * panel[volume])
    known: FloatArray = np.where(panel.tradable & np.isfinite(money) & (money > 0), money, np.nan)
    return known


def quoted_closes(panel: Panel) -> FloatArray:
    """Returns the last close of each asset as it was quoted, ``[T, N]``, which is what a share costs.

    Adjusted closes have their returns, but not always their level. NaN before an asset's first price.
    """
    marks = marked_prices(panel, "close")
    if RAW_CLOSE not in panel:
        return marks
    known = np.isfinite(panel[RAW_CLOSE]) & np.isfinite(panel["close"]) & (panel["close"] > 0)
    ratio = np.full(marks.shape, np.nan)
    ratio[known] = panel[RAW_CLOSE][known].astype(np.float64) / panel["close"][known]
    return marks * np.nan_to_num(carried_forward(ratio), nan=1.0)
