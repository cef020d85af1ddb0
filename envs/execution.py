"""Legs: what a decision of day t earns before and after its fill, and what it may trade.

Everything here is worked out once, when a tape is built. Row ``t`` belongs to the decision taken after the close of
day ``t``; it looks one day ahead because that is what the decision will earn, never what it may see.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.delisting import leaves, pay_out
from market.arrays import BoolArray, FloatArray
from market.panel import Panel
from market.prices.fills import Fill, fill_delay, fill_prices, marked_prices, simple_returns
from market.prices.money import traded_money
from market.prices.price_limits import price_limits

BUY, SELL, AVAILABLE, LEAVES_BEFORE, LEAVES_AFTER = 1, 2, 4, 8, 16
"""Bits of `FillReturns.status`: may be bought, may be sold, may carry weight, is paid out before or after the fill."""

FREE = BUY | SELL | AVAILABLE
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
    marks = marked_prices(panel, "close")  # [T, N]
    fills = fill_prices(panel, fill)
    delay = fill_delay(fill)
    today, tomorrow = slice(None, -1), slice(1, None)
    filled = tomorrow if delay else today
    price = np.where(np.isfinite(fills[filled]), fills[filled], marks[today])  # where the new weights start
    before, after = price / marks[today] - 1, marks[tomorrow] / price - 1
    gone = leaves(panel, fills)
    pay_out(gone, before, after, delay, delisting_return)
    status = _permissions(panel, fills, filled)
    if price_limit is not None:
        limits = price_limits(panel, fill, price_limit)
        status[limits.up[filled]] &= ~np.uint8(BUY)
        status[limits.down[filled]] &= ~np.uint8(SELL)
    status[gone] |= LEAVES_BEFORE if delay else LEAVES_AFTER
    legs = [np.nan_to_num(leg, nan=0.0, posinf=0.0, neginf=0.0) for leg in (before, after)]
    before, after = (_with_last_row(leg, 0.0) for leg in legs)
    return FillReturns(before, after, _with_last_row(fills[filled], np.nan), _status_rows(status))


def known_status(status: StatusArray, fill: Fill) -> StatusArray:
    """Returns the permissions ``[T, N]`` as far as they are known after the close of each day.

    At the fill ``close`` they are those of that close. A later fill may meet a halt or a limit that nobody knows yet,
    so everything may be bought and sold.
    """
    return status if fill == "close" else np.broadcast_to(np.uint8(FREE), status.shape)


def impact_scale(panel: Panel) -> FloatArray | None:
    """Returns ``volatility / sqrt(daily money traded)`` of the trailing 20 days, ``[T, N]``, or None without volume.

    Row ``t`` uses rows ``<= t``; splits and dividends to come do not change it. Where an asset has no history yet, the
    day's largest known value stands in for it. A volume of zero on every day of every asset is none.
    """
    money = np.nan_to_num(traded_money(panel))
    if not (money > 0).any():
        return None
    returns = np.nan_to_num(simple_returns(panel))
    days = _trailing_sum(np.isfinite(marked_prices(panel, "close")).astype(np.float64))
    variance = (_trailing_sum(returns**2) - _trailing_sum(returns) ** 2 / np.maximum(days, 1)) / np.maximum(days - 1, 1)
    daily = _trailing_sum(money) / np.maximum(days, 1)
    usable = (days > 2) & (daily > 0)
    scale = np.sqrt(np.maximum(variance, 0.0)) / np.sqrt(np.where(usable, daily, 1.0))
    worst = np.max(np.where(usable, scale, 0.0), axis=1, keepdims=True)
    return np.where(usable, scale, worst)


def _permissions(panel: Panel, fills: FloatArray, filled: slice) -> StatusArray:
    priced, listed = np.isfinite(fills[filled]), panel.listed[filled]
    known: BoolArray = panel.listed[:-1]  # what the policy can have seen
    status = np.zeros(listed.shape, np.uint8)
    status[known & listed] |= AVAILABLE
    status[known & listed & priced] |= BUY
    status[priced] |= SELL
    return status


def _with_last_row(array: FloatArray, value: float) -> FloatArray:
    return np.concatenate([array, np.full((1, array.shape[1]), value)])


def _status_rows(status: StatusArray) -> StatusArray:
    return np.concatenate([status, np.zeros((1, status.shape[1]), np.uint8)])


def _trailing_sum(values: FloatArray) -> FloatArray:
    total = np.cumsum(values, axis=0)
    total[IMPACT_DAYS:] -= total[:-IMPACT_DAYS].copy()
    return total
