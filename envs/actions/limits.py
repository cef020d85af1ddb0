"""Limits on what an action asks for: an asset and a sector each carry at most so much of the account."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.actions.kernels import limit_long, limit_signed
from envs.actions.portfolio import Action, LongOnly, LongShort
from envs.execution import StatusArray
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class SectorLimit:
    """The weights of another action, cut to a limit for each asset and for each sector.

    Long-only weights share what is cut in proportion among the assets that are under their limits and cash; what
    nobody can take is cash. Signed weights are only shrunk, together within a sector, and the heavier side of the whole
    once more until the net limit of `base` holds again; cash is what remains. Sizes count, long and short alike.

    Limits hold for what is traded. Prices may carry an account over them until the next trade, and an asset that is
    halted keeps what it has. ``Step(SectorLimit(...))`` goes towards weights within the limits.

    Attributes:
        sectors: Sector of each asset, in the order of the tape; `market.sources.known_factors.read_sectors` reads a
        table. sector_cap: Largest sum of the sizes of a sector's weights.
        asset_cap: Largest size of an asset's weight, or None.
        base: What the action means before it is cut: `LongOnly` or `LongShort`.
    """

    sectors: tuple[str, ...]
    sector_cap: float = 0.3
    asset_cap: float | None = None
    base: Action = LongOnly(bound=1.0, scale=5.0)

    def __post_init__(self) -> None:
        for name in ("sector_cap", "asset_cap"):
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise ValueError(f"SectorLimit: {name} is {limit}, expected a positive weight such as 0.3")
        if not isinstance(self.base, LongOnly | LongShort):
            raise ValueError(
                f"SectorLimit: base is {type(self.base).__name__}, expected LongOnly or LongShort; an action that "
                "starts from what is held goes around it: Step(SectorLimit(...))"
            )

    @property
    def max_stretch(self) -> float:
        """1: no halt pushes a weight over its limit."""
        return 1.0

    def space(self, n_assets: int) -> spaces.Space[Any]:
        """Returns the space of `base`; an error where there are more or fewer sectors than assets."""
        if len(self.sectors) != n_assets:
            raise ValueError(
                f"SectorLimit: sectors names {len(self.sectors)} assets, the tape has {n_assets}; give one sector for "
                "each, in the tape's order"
            )
        return self.base.space(n_assets)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the weights of `base` within the limits."""
        self.base.to_weights(actions, status, day, targets, hold)
        of, count = sector_numbers(self.sectors)
        cap = math.inf if self.asset_cap is None else self.asset_cap
        if isinstance(self.base, LongShort):
            limit_signed(targets, of, count, cap, self.sector_cap, self.base.net_limit)
        else:
            limit_long(targets, of, count, cap, self.sector_cap)


@cache
def sector_numbers(sectors: tuple[str, ...]) -> tuple[IntArray, int]:
    """Returns the number of each asset's sector ``[N]``, and how many sectors there are."""
    names, numbers = np.unique(np.array(sectors, dtype=np.str_), return_inverse=True)
    return numbers.astype(np.int64), len(names)
