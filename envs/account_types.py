"""Book: the arrays and numbers that a day of accounting reads, and those that it writes.

They are named tuples because compiled loops read them; nothing here computes anything.
"""

from typing import NamedTuple

import numpy as np

from envs.execution import StatusArray
from market.arrays import BoolArray, FeatureArray, FloatArray

RUIN_WEALTH = 1e-6
"""Share of a day's opening wealth that a ruined account keeps: liability is limited and log growth stays finite."""


class MarketArrays(NamedTuple):
    """The arrays of a tape that money moves by; `impact_scale` is empty where there is no impact."""

    before: FloatArray
    after: FloatArray
    status: StatusArray
    free: BoolArray
    impact_scale: FloatArray


class CostTerms(NamedTuple):
    """The numbers of `envs.costs.Costs` and of the fill, as the compiled loops read them."""

    buy: float
    sell: float
    impact: float
    borrow_before: float
    borrow_after: float
    cash_before: float
    cash_after: float
    margin: float
    max_stretch: float


class DayResult(NamedTuple):
    """Result of one booked day, for each episode.

    ``weights [B, 1+N]`` right after the trade, ``trades [B, N]`` bought (or sold) in wealth units, ``account [B, 1+N]``
    float32 weights at the close, ``growth [B]`` of wealth (new over old) and ``log_growth [B]``, ``mu [B]`` kept by the
    trade, ``turnover [B]``, ``cost [B]`` of the trade in wealth units, ``ruined [B]``.
    """

    weights: FloatArray
    trades: FloatArray
    account: FeatureArray
    growth: FloatArray
    log_growth: FloatArray
    mu: FloatArray
    turnover: FloatArray
    cost: FloatArray
    ruined: BoolArray

    @staticmethod
    def empty(n_envs: int, n_assets: int) -> "DayResult":
        """Returns a fresh book; nothing of an earlier step is reused."""
        return DayResult(
            weights=np.empty((n_envs, 1 + n_assets)),
            trades=np.empty((n_envs, n_assets)),
            account=np.empty((n_envs, 1 + n_assets), np.float32),
            growth=np.empty(n_envs),
            log_growth=np.empty(n_envs),
            mu=np.empty(n_envs),
            turnover=np.empty(n_envs),
            cost=np.empty(n_envs),
            ruined=np.empty(n_envs, np.bool_),
        )
