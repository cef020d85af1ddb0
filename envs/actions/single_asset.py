"""Positions: actions on a single asset."""

import math
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from envs.execution import BUY, SELL, StatusArray
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class SellHoldBuy:
    """Three actions on one asset: 0 sells everything, 1 keeps the position, 2 buys with all the cash."""

    @property
    def max_stretch(self) -> float:
        """Infinite: the position is long only."""
        return math.inf

    def space(self, n_assets: int) -> spaces.Discrete:
        """Returns the discrete space of three; an error where there is more than one asset."""
        _refuse_many("SellHoldBuy", n_assets)
        return spaces.Discrete(3)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes all cash or all asset."""
        np.equal(actions, 1, out=hold)
        np.equal(actions, 2, out=targets[:, 1])
        np.subtract(1.0, targets[:, 1], out=targets[:, 0])

    def possible(self, status: StatusArray, day: IntArray, account: FloatArray) -> BoolArray:
        """Returns ``[B, 3]``: selling needs a position and a day that allows it, buying cash and such a day."""
        allowed = status[day, 0]
        sell = (account[:, 1] > 0) & (allowed & SELL > 0)
        buy = (account[:, 0] > 0) & (allowed & BUY > 0)
        return np.stack([sell, np.ones_like(sell), buy], axis=1)


@dataclass(frozen=True)
class TargetLevels:
    """Discrete target positions in one asset; negative levels are short."""

    levels: tuple[float, ...] = (0.0, 0.5, 1.0)

    def __post_init__(self) -> None:
        if not self.levels or not all(map(math.isfinite, self.levels)):
            raise ValueError(f"TargetLevels: levels are {self.levels}, expected finite positions such as (0, 0.5, 1)")

    @property
    def max_stretch(self) -> float:
        """Infinite where no level is short or levered, otherwise 1."""
        return math.inf if min(self.levels) >= 0 and max(self.levels) <= 1 else 1.0

    def space(self, n_assets: int) -> spaces.Discrete:
        """Returns the discrete space of the levels; an error where there is more than one asset."""
        _refuse_many("TargetLevels", n_assets)
        return spaces.Discrete(len(self.levels))

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the chosen level."""
        targets[:, 1] = np.array(self.levels)[actions]
        np.subtract(1.0, targets[:, 1], out=targets[:, 0])


@dataclass(frozen=True)
class Position:
    """A continuous target position in one asset: the box ``[-1, 1]`` is stretched over ``[low, high]``.

    ``Position()`` is long only, ``Position(low=-1)`` long and short.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"Position: low {self.low} must be below high {self.high}, both finite")

    @property
    def max_stretch(self) -> float:
        """Infinite where the position can be neither short nor levered, otherwise 1."""
        return math.inf if self.low >= 0 and self.high <= 1 else 1.0

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box ``[-1, 1]``; an error where there is more than one asset."""
        _refuse_many("Position", n_assets)
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the position."""
        share = (np.clip(actions[:, 0].astype(np.float64), -1.0, 1.0) + 1.0) / 2.0
        targets[:, 1] = self.low + share * (self.high - self.low)
        np.subtract(1.0, targets[:, 1], out=targets[:, 0])


def _refuse_many(name: str, n_assets: int) -> None:
    if n_assets != 1:
        raise ValueError(f"{name}: it trades one asset but the tape has {n_assets}; use tape.only('NAME')")
