"""Dividends in returns: what adjusted prices earn beyond quoted ones."""

import numpy as np

from market.arrays import FloatArray
from market.panel import RAW_CLOSE, Panel

LARGEST = 0.1
"""A larger step of the adjustment is a split, or both, and counts as none of it being a dividend."""
ROUNDING = 1e-6  # vendors round adjusted prices, so the adjustment trembles


def dividend_returns(panel: Panel) -> FloatArray | None:
    """Returns the part of each day's return that is dividends, ``[T, N]``; None without quoted closes.

    From the step of adjusted over quoted closes on each day: prices are adjusted backwards, so the step is above one
    where a dividend was paid. Zero on the first day and wherever a close is missing.
    """
    if RAW_CLOSE not in panel.fields:
        return None
    quoted, adjusted = panel[RAW_CLOSE].astype(np.float64), panel["close"].astype(np.float64)
    known = np.isfinite(quoted) & np.isfinite(adjusted) & (quoted > 0) & (adjusted > 0)
    factor = np.divide(adjusted, quoted, out=np.full(quoted.shape, np.nan), where=known)
    step, growth = (np.full(quoted.shape, np.nan) for _ in range(2))
    step[1:] = factor[1:] / factor[:-1] - 1
    growth[1:] = quoted[1:] / quoted[:-1]
    paid = (step > ROUNDING) & (step < LARGEST)
    found: FloatArray = np.where(paid & np.isfinite(growth), step * growth, 0.0)
    return np.nan_to_num(found)
