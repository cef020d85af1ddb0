"""Classical rules: cash, buy-and-hold, equal weights, momentum, and two that trade on an encoder's forecast.

Each is a frozen dataclass; `agents.baselines.base.ClassicalPolicy` makes a policy of it. Rules that fit a covariance
are in `agents.baselines.mean_variance`, the one that cheats is in `agents.baselines.hindsight`.
"""

from dataclasses import dataclass

import numpy as np

from agents.baselines.base import HELD, LongOnlyRule, all_cash, best_of, due, equal_weights, leave_all
from agents.history import Past
from envs import LongShort
from market.arrays import FloatArray


@dataclass(frozen=True)
class Cash(LongOnlyRule):
    """Holds nothing."""

    name: str = "cash"

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns all cash."""
        return all_cash(len(known.tradable))


@dataclass(frozen=True)
class BuyAndHold(LongOnlyRule):
    """Buys equal weights of what trades on the day it begins, and never trades again."""

    name: str = "buy_and_hold"

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns equal weights while nothing is held, then leaves them alone."""
        if (np.abs(account[1:]) > HELD).any():
            return leave_all(len(known.tradable))
        return equal_weights(known.tradable)


@dataclass(frozen=True)
class EqualWeight(LongOnlyRule):
    """Holds what trades today in equal weights, restored every few days.

    Attributes:
        every: Days between rebalancings, counted from the tape's first; weights drift in between.
    """

    every: int = 1
    name: str = "equal_weight"

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns equal weights on rebalancing days."""
        return equal_weights(known.tradable) if due(known, account, self.every) else leave_all(len(known.tradable))


@dataclass(frozen=True)
class Momentum(LongOnlyRule):
    """Holds the best share of assets by past return in equal weights, as long as that return is positive.

    An asset without a whole look-back of listed days is not held. With one asset this is time-series momentum: the
    asset after a gain, cash after a loss.

    Reference: Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers.

    Attributes:
        lookback: Days of the past return.
        skip: Latest days left out, because returns of a month tend to reverse.
        share: Of the assets with a past return that are held; at least one.
        every: Days between rebalancings.
    """

    lookback: int = 231
    skip: int = 21
    share: float = 0.2
    every: int = 21
    name: str = "momentum"

    def __post_init__(self) -> None:
        if self.lookback < 1 or self.skip < 0 or not 0 < self.share <= 1:
            raise ValueError(
                f"Momentum: lookback {self.lookback}, skip {self.skip} and share {self.share} must be at least 1, "
                "at least 0, and in (0, 1]"
            )

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns equal weights of the winners on rebalancing days."""
        if not due(known, account, self.every):
            return leave_all(len(known.tradable))
        stop = len(known.returns) - self.skip
        if stop < self.lookback:
            return all_cash(len(known.tradable))
        growth = np.prod(1 + known.returns[stop - self.lookback : stop], axis=0) - 1  # NaN where a day is unknown
        ranked = known.tradable & np.isfinite(growth)
        best = best_of(np.where(ranked, growth, np.nan), max(1, round(self.share * ranked.sum())))
        return equal_weights(best & (np.nan_to_num(growth) > 0))


@dataclass(frozen=True)
class TopKDropN(LongOnlyRule):
    """Holds about k names by an encoder's score and exchanges at most n of them a day.

    Each day: ``candidates`` are the best ``n + k - held`` tradable names that are not held; ``combined`` are the held
    names and the candidates by score; held names among the worst n of ``combined`` are sold; the best
    ``sold + k - held`` candidates are bought, each with an equal part of `risk_degree` of the cash there is after the
    sales. Names kept are not traded, so they drift. A held name that does not trade today cannot be exchanged and keeps
    its place; a held name without a score ranks last. Names of equal score rank by their order.

    Reference: qlib's ``TopkDropoutStrategy``.

    Attributes:
        k: Names to hold.
        n_drop: Names exchanged a day, at most.
        eta: The score is ``mean - eta * std`` of the forecast; 0 ignores its uncertainty.
        risk_degree: Share of the cash after sales that is spent.
    """

    k: int = 50
    n_drop: int = 5
    eta: float = 0.0
    risk_degree: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.n_drop <= self.k:
            raise ValueError(f"TopKDropN: n_drop is {self.n_drop} and k {self.k}; expected 0 < n_drop <= k")
        if not 0 < self.risk_degree <= 1:
            raise ValueError(f"TopKDropN: risk_degree is {self.risk_degree}, expected a share in (0, 1]")

    @property
    def name(self) -> str:
        """Names k, n and eta."""
        return f"top{self.k}_drop{self.n_drop}" + (f"_eta{self.eta:g}" if self.eta else "")

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns the exchange of the day."""
        score = known.forecast_mean - (self.eta * known.forecast_std if self.eta else 0.0)
        held = account[1:] > HELD
        room = self.k - int(held.sum())
        candidates = best_of(np.where(known.tradable & ~held, score, np.nan), self.n_drop + room)
        exchangeable = held & known.tradable
        combined = np.where(candidates | exchangeable, np.where(np.isfinite(score), score, -np.inf), np.nan)
        worst = best_of(-combined[::-1], self.n_drop)[::-1]  # of equal scores the later is worse
        sold = worst & exchangeable
        bought = best_of(np.where(candidates, score, np.nan), int(sold.sum()) + room)
        action = leave_all(len(score))
        action[0] = 1.0 - self.risk_degree if bought.any() else 1.0
        action[1:][sold] = 0.0
        action[1:][bought] = self.risk_degree / max(int(bought.sum()), 1)
        return action


@dataclass(frozen=True)
class LongShortQuantiles:
    """Buys the highest quantile of an encoder's forecast and sells the lowest short, equal weights, every day anew.

    Each side is half of `gross`. Nothing is held on a day with fewer names than quantiles.

    Attributes:
        n_quantiles: Number of quantiles.
        gross: Sum of the sizes of the weights.
    """

    n_quantiles: int = 5
    gross: float = 1.0
    name: str = "long_short"

    def __post_init__(self) -> None:
        if self.n_quantiles < 2:
            raise ValueError(f"LongShortQuantiles: n_quantiles is {self.n_quantiles}, expected at least 2")

    @property
    def action(self) -> LongShort:
        """Signed shares of the gross limit."""
        return LongShort(gross=self.gross)

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns signed shares ``[N]`` of `gross`."""
        score = np.where(known.tradable, known.forecast_mean, np.nan)
        side = int(np.isfinite(score).sum()) // self.n_quantiles
        longs, shorts = best_of(score, side), best_of(-score[::-1], side)[::-1]
        return (longs.astype(np.float64) - shorts) * (0.5 / max(side, 1))
