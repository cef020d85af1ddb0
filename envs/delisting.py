"""Delisting: which holdings leave the market without a price, and what their holders are paid."""

import numpy as np

from market.arrays import BoolArray, FloatArray
from market.panel import Panel


def leaves(panel: Panel, fills: FloatArray) -> BoolArray:
    """Returns which assets are paid out on the day after each decision, ``[T - 1, N]``.

    They are no longer listed on that day and have no price at which a holder could sell.

    Args:
        panel: The market.
        fills: ``[T, N]`` prices at which trades are done, NaN where there is none.
    """
    return ~panel.listed[1:] & ~np.isfinite(fills[1:])


def pay_out(gone: BoolArray, before: FloatArray, after: FloatArray, delay: int, delisting_return: float) -> None:
    """Writes the last return of assets that leave into the two legs of the day, ``[T - 1, N]`` each.

    A holder gets the last price times ``1 + delisting_return``; the old weights earn it where trades are done on the
    day after the decision (`delay` 1), the new ones where they are done at once. The other leg earns nothing.
    """
    (before if delay else after)[gone] = delisting_return
    (after if delay else before)[gone] = 0.0
