"""Legs: what a decision of day t earns before and after its fill, and what it may trade.

Everything here is worked out once, when a tape is built. Row ``t`` belongs to the decision taken after the close of
day ``t``; it looks one day ahead because that is what the decision will earn, never what it may see.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.arrays import BoolArray, FloatArray
from market.fills import Fill, fill_delay, fill_prices
from market.panel import Panel

BUY, SELL, AVAILABLE, LEAVES_BEFORE, LEAVES_AFTER = 1, 2, 4, 8, 16
"""Bits of `FillReturns.status`: may be bought, may be sold, may carry weight, is paid out before or after the fill."""

FREE = BUY | SELL | AVAILABLE
LIMIT_TOLERANCE = 0.02  # of the limit: exchanges round limit prices to ticks
IMPACT_DAYS = 20

StatusArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FillReturns:
    """The two return legs, the fill prices and the permissions of every decision day, ``[T, N]`` each."""

    before: FloatArray
    after: FloatArray
    price: FloatArray
    status: StatusArray


def compute_fill_returns(panel: Panel, fill: Fill, price_limit: float | None, delisting_return: float) -> FillReturns:
    """Returns what the decision of each row earns and may do; the last row has no tomorrow and is all zero.

    A halted day (listed, not tradable) and a missing day are marked at the last price and earn nothing. An asset that
    is no longer listed can only be sold, at the fill price while it has one; without a price it is paid out at its
    last price times ``1 + delisting_return``.
    """
    marks = _marks(panel)  # [T, N], at the close
    fills = fill_prices(panel, fill)
    fills[panel.listed & ~panel.tradable] = np.nan
    delay = fill_delay(fill)
    today, tomorrow = slice(None, -1), slice(1, None)
    filled = tomorrow if delay else today
    price = np.where(np.isfinite(fills[filled]), fills[filled], marks[today])  # where the new weights start
    before, after = price / marks[today] - 1, marks[tomorrow] / price - 1
    gone = ~panel.listed[tomorrow] & ~np.isfinite(fills[tomorrow])
    (before if delay else after)[gone] = delisting_return
    (after if delay else before)[gone] = 0.0
    status = _permissions(panel, fills, filled)
    if price_limit is not None:
        _apply_limit(status, fills, marks, delay, price_limit)
    status[gone] |= LEAVES_BEFORE if delay else LEAVES_AFTER
    legs = [np.nan_to_num(leg, nan=0.0, posinf=0.0, neginf=0.0) for leg in (before, after)]
    before, after = (_with_last_row(leg, 0.0) for leg in legs)
    return FillReturns(before, after, _with_last_row(fills[filled], np.nan), _status_rows(status))


def impact_scale(panel: Panel) -> FloatArray | None:
    """Returns ``volatility / sqrt(daily volume in money)`` of the trailing 20 days, ``[T, N]``, or None without volume.

    A volume of zero on every day of every asset is none.

    Row ``t`` uses rows ``<= t``. Where an asset has no history yet, the day's largest known value stands in for it.
    """
    if "volume" not in panel or not (panel["volume"] > 0).any():
        return None
    marks = _marks(panel)
    returns = np.zeros_like(marks)
    returns[1:] = np.nan_to_num(marks[1:] / marks[:-1] - 1)
    known = np.isfinite(marks)
    money = np.where(panel.tradable, np.nan_to_num(panel["volume"].astype(np.float64)), 0.0) * np.nan_to_num(marks)
    days = _trailing_sum(known.astype(np.float64))
    variance = (_trailing_sum(returns**2) - _trailing_sum(returns) ** 2 / np.maximum(days, 1)) / np.maximum(days - 1, 1)
    volume = _trailing_sum(money) / np.maximum(days, 1)
    usable = (days > 2) & (volume > 0)
    scale = np.sqrt(np.maximum(variance, 0.0)) / np.sqrt(np.where(usable, volume, 1.0))
    worst = np.max(np.where(usable, scale, 0.0), axis=1, keepdims=True)
    return np.where(usable, scale, worst)


def _marks(panel: Panel) -> FloatArray:
    """Closes, carried over halted and missing days; NaN before an asset's first price."""
    closes = fill_prices(panel, "close")
    closes[panel.listed & ~panel.tradable] = np.nan
    row = np.maximum.accumulate(np.where(np.isfinite(closes), np.arange(len(closes))[:, None], 0), axis=0)
    return np.take_along_axis(closes, row, axis=0)


def _permissions(panel: Panel, fills: FloatArray, filled: slice) -> StatusArray:
    priced, listed = np.isfinite(fills[filled]), panel.listed[filled]
    known: BoolArray = panel.listed[:-1]  # what the policy can have seen
    status = np.zeros(listed.shape, np.uint8)
    status[known & listed] |= AVAILABLE
    status[known & listed & priced] |= BUY
    status[priced] |= SELL
    return status


def _apply_limit(status: StatusArray, fills: FloatArray, marks: FloatArray, delay: int, limit: float) -> None:
    if not 0 < limit < 1:
        raise ValueError(f"tape: price_limit is {limit}, expected a fraction such as 0.1 for 10 %")
    moves = np.full(fills.shape, np.nan)
    moves[1:] = fills[1:] / marks[:-1] - 1
    reached = moves[1:] if delay else moves[:-1]
    edge = limit * (1 - LIMIT_TOLERANCE)
    status[reached >= edge] &= ~np.uint8(BUY)
    status[reached <= -edge] &= ~np.uint8(SELL)


def _with_last_row(array: FloatArray, value: float) -> FloatArray:
    return np.concatenate([array, np.full((1, array.shape[1]), value)])


def _status_rows(status: StatusArray) -> StatusArray:
    return np.concatenate([status, np.zeros((1, status.shape[1]), np.uint8)])


def _trailing_sum(values: FloatArray) -> FloatArray:
    total = np.cumsum(values, axis=0)
    total[IMPACT_DAYS:] -= total[:-IMPACT_DAYS].copy()
    return total
