"""The volume-weighted average price of a day, from what was paid and how much changed hands.

``amount / volume`` is a price in the vendor's own units: shares may be counted in lots, money in thousands, and the
prices of the bars may be adjusted for splits and dividends while amounts never are. The bar of the same day says what
the unit is, for an average price lies between its low and its high. The unit changes only where a price is adjusted,
so the bars of the last days, taken together, bound it within a few thousandths. Where quoted closes are known as well
(``raw_close``), the quoted bars bound a power of ten, and the average is exact.

No rule here looks at the level of adjusted prices, which splits and dividends to come would move.
"""

from dataclasses import replace

import numpy as np

from market.arrays import BoolArray, FloatArray
from market.panel import RAW_CLOSE, RAW_VOLUME, Panel

VWAP = "vwap"
NEEDED = ("amount", "volume", "low", "high")
DAYS = 20
"""Days whose bars bound the unit together; fewer where the prices of one of them are adjusted differently."""

ROUNDING = 1e-5
"""Share of a price that bars in single precision may be off by."""


def with_vwap(panel: Panel) -> Panel:
    """Returns the panel with the field ``vwap``; the same panel where it has one, or lacks what that needs.

    Row ``t`` uses rows ``<= t``. The price is in the units of the bars and lies within the day's. NaN where nothing
    was traded, where the bar is missing or impossible, and where the asset is not listed.
    """
    if VWAP in panel or not all(name in panel for name in NEEDED):
        return panel
    amount, volume, low, high = (
        np.where(panel.listed, panel[name], np.nan).astype(np.float64) for name in NEEDED
    )  # [T, N] each
    if RAW_VOLUME in panel:
        volume = np.where(panel.listed, panel[RAW_VOLUME], np.nan).astype(np.float64)
    traded = (amount > 0) & (volume > 0) & (low > 0) & (low <= high)
    with np.errstate(over="ignore"):  # money over almost no shares, which is refused on the next line
        paid = np.divide(amount, volume, out=np.full(amount.shape, np.nan), where=traded)
    traded &= np.isfinite(paid)
    paid[~traded] = np.nan
    adjustment = _adjustment(panel)
    paid = paid * adjustment  # in the units of the bars, but for lots and thousands
    quoted = RAW_CLOSE in panel
    vwap = np.clip(_units(low / paid, high / paid, traded, quoted) * paid, low, high)
    vwap[~traded] = np.nan
    values = np.concatenate([panel.values, vwap[..., None].astype(panel.values.dtype)], axis=2)
    return replace(panel, fields=(*panel.fields, VWAP), values=values)


def _adjustment(panel: Panel) -> FloatArray:
    """Returns what quoted prices of each day are multiplied by to be those of the bars; 1 where none are known."""
    if RAW_CLOSE not in panel:
        return np.ones(panel.shape[:2])
    ratio = panel["close"].astype(np.float64) / panel[RAW_CLOSE]
    found: FloatArray = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
    return found


def _units(lowest: FloatArray, highest: FloatArray, traded: BoolArray, quoted: bool) -> FloatArray:
    """Returns the unit of each day, ``[T, N]``, that the bounds of the last days agree on.

    Of quoted prices it is the power of ten that they allow (shares in lots, money in thousands), otherwise the middle.
    """
    lowest = np.where(traded, lowest * (1 - ROUNDING), -np.inf)
    highest = np.where(traded, highest * (1 + ROUNDING), np.inf)
    low, high, agreed = lowest.copy(), highest.copy(), traded.copy()
    for lag in range(1, min(DAYS, len(low))):
        earlier_low = np.maximum(low[lag:], lowest[:-lag])
        earlier_high = np.minimum(high[lag:], highest[:-lag])
        agreed[lag:] &= earlier_low <= earlier_high
        low[lag:] = np.where(agreed[lag:], earlier_low, low[lag:])
        high[lag:] = np.where(agreed[lag:], earlier_high, high[lag:])
    middle = np.where(traded, np.sqrt(np.abs(low) * np.abs(high)), np.nan)
    if not quoted:
        return middle
    with np.errstate(invalid="ignore"):
        ten = 10.0 ** np.round(np.log10(middle))
        return np.where((low <= ten) & (ten <= high), ten, middle)
