"""Daily price limits: on which days a price stands where its exchange stops it, so that nobody sells or nobody buys."""

from typing import NamedTuple

import numpy as np

from market.arrays import BoolArray, FloatArray
from market.panel import Panel
from market.prices.fills import Fill, fill_prices, marked_prices

LIMIT_TOLERANCE = 0.02  # of the limit: exchanges round limit prices to ticks


class PriceLimits(NamedTuple):
    """Where prices stand at their daily limits, ``[T, N]`` each: at `up` nobody sells, at `down` nobody buys."""

    up: BoolArray
    down: BoolArray


def price_limits(panel: Panel, fill: Fill, rate: float | FloatArray) -> PriceLimits:
    """Returns on which days the fill price stands at its daily limit against the last close with a trade before.

    Row ``t`` uses rows ``<= t``. Where either price is unknown neither limit holds. Moves within 2 % of the limit
    count as at it, since exchanges round limit prices to ticks.

    Args:
        panel: Prices, adjusted so that days without a dividend and ex-dividend days compare alike.
        fill: Which price: that of ``next_open`` is the day's open, that of the others its close.
        rate: Limit as a fraction, one for all or ``[T, N]``, for example
            ``np.where(panel["is_st"] == 1, 0.05, 0.1)`` for the mainland Chinese main boards.

    Raises:
        ValueError: A limit is no fraction between 0 and 1.
    """
    rates = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    if not ((rates > 0) & (rates < 1)).all():
        worst = rates[~((rates > 0) & (rates < 1))].flat[0]
        raise ValueError(f"price_limit is {worst}, expected a fraction such as 0.1 for 10 %")
    before = np.full(panel.listed.shape, np.nan)
    before[1:] = marked_prices(panel, "close")[:-1]
    move = fill_prices(panel, fill) / before - 1
    edge = rates * (1 - LIMIT_TOLERANCE)
    return PriceLimits(up=move >= edge, down=move <= -edge)
