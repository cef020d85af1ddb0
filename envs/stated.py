"""Stated weights: an action that says the account's weights themselves, short ones too; what committees decide with."""

import math
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from envs.execution import StatusArray
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray

LEFT_ALONE = -100.0
"""Stands for an asset that is not traded and drifts; no weight comes near it."""


@dataclass(frozen=True)
class StatedWeights:
    """The weights to hold, cash first, as they stand: they sum to 1 and negative ones are short.

    An entry of `LEFT_ALONE` is not traded; the other assets and cash are then shares of what remains.

    Attributes:
        max_stretch: How far tradable weights may be scaled up to fill what halted assets left open; infinite for long
            only portfolios, 1 for others.
    """

    max_stretch: float = math.inf

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box of weights, cash first, in double precision."""
        return spaces.Box(LEFT_ALONE, -LEFT_ALONE, (1 + n_assets,), np.float64)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Copies the weights and marks what is left alone.

        Raises:
            ValueError: Nothing is left alone, and the weights of a row do not sum to 1.
        """
        targets[:] = actions
        left = targets[:, 1:] <= LEFT_ALONE
        targets[:, 1:][left] = np.nan
        np.any(left, axis=1, out=hold)
        total = np.where(np.isnan(targets), 0.0, targets).sum(axis=1)
        wrong = ~hold & (np.abs(total - 1) > 1e-6)
        if wrong.any():
            raise ValueError(f"StatedWeights: weights sum to {total[wrong][0]:.6g}, expected 1, cash included")
        for row in np.flatnonzero(hold):
            if total[row] > 0:
                targets[row] /= total[row]
            else:
                targets[row, 0] = 1.0
