"""Relative actions: they start from what the account holds, so that doing nothing is the easiest thing to do.

A relative action is measured from the weights that the account has drifted to at the fill, before the trade. An
action of zeros trades nothing, exactly; a fresh policy, whose outputs are close to zero, therefore holds what it has.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from envs.actions.kernels import cap_weights, step_towards, tilt
from envs.actions.portfolio import LARGEST_LOGIT, Action, LongOnly
from envs.execution import StatusArray
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray


@runtime_checkable
class RelativeAction(Action, Protocol):
    """An action that needs to know what is held."""

    def adjust_weights(
        self,
        actions: AnyArray,
        held: FloatArray,
        status: StatusArray,
        day: IntArray,
        targets: FloatArray,
        hold: BoolArray,
    ) -> None:
        """Writes target weights as `Action.to_weights` does, given the weights `held` ``[B, 1 + N]`` at the fill."""
        ...


class FractionBox(spaces.Box):
    """A box whose first number is a fraction of the way, so that policies can tell."""


class _FromCash:
    """Target weights of a relative action for an account that is all in cash."""

    def to_weights(
        self: RelativeAction, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray,
        hold: BoolArray,
    ) -> None:  # fmt: skip
        """Writes the target weights of accounts that hold nothing but cash."""
        held = np.zeros(targets.shape)
        held[:, 0] = 1.0
        self.adjust_weights(actions, held, status, day, targets, hold)


@dataclass(frozen=True)
class Tilt(_FromCash):
    """Long-only weights in proportion to ``held ** kappa * exp(score)``, with a score for each asset.

    With the score ``s`` of a weight ``h``, its share is ``h ** kappa * exp(s) + opening * max(exp(s) - 1, 0)``; shares
    are normalised. The second term lets an asset that is not held be bought, and vanishes where the score is not
    positive. Zero scores keep every position. A `kappa` below 1 draws weights towards each other as soon as any score
    is not zero; an agent may learn such a pull itself, because it sees its weights.

    Attributes:
        cash: Whether cash is scored too, in front; otherwise its score is 0.
        cap: Largest weight of an asset, or None; the excess goes to the others in proportion.
        kappa: Memory of the position: 1 keeps it, 0 forgets it.
        opening: Share of an asset that is not held, per unit of ``exp(score) - 1``.
        bound: Largest size of a raw action.
        scale: Score per unit of action.
    """

    cash: bool = True
    cap: float | None = None
    kappa: float = 1.0
    opening: float = 1e-3
    bound: float = 1.0
    scale: float = 5.0

    def __post_init__(self) -> None:
        if not (self.bound > 0 and self.scale > 0 and self.bound * self.scale <= LARGEST_LOGIT):
            raise ValueError(
                f"Tilt: bound {self.bound} times scale {self.scale} must be positive and at most {LARGEST_LOGIT}"
            )
        if self.cap is not None and not 0 < self.cap <= 1:
            raise ValueError(f"Tilt: cap is {self.cap}, expected a weight above 0 and at most 1")
        if not 0 <= self.kappa <= 1 or not 0 < self.opening < 1:
            raise ValueError(
                f"Tilt: kappa is {self.kappa} and opening {self.opening}, expected 0 to 1, and above 0 and below 1"
            )

    @property
    def max_stretch(self) -> float:
        """Infinite without a cap; 1 with one, so that no halt pushes a weight over it."""
        return math.inf if self.cap is None else 1.0

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box of scores."""
        return spaces.Box(-self.bound, self.bound, (n_assets + self.cash,), np.float32)

    def adjust_weights(
        self,
        actions: AnyArray,
        held: FloatArray,
        status: StatusArray,
        day: IntArray,
        targets: FloatArray,
        hold: BoolArray,
    ) -> None:
        """Writes the tilted weights, cut at `cap`."""
        tilt(actions, held, status, day, self.bound, self.scale, self.kappa, self.opening, targets, hold)
        if self.cap is not None:
            cap_weights(targets, self.cap)


@dataclass(frozen=True)
class Step(_FromCash):
    """A fraction of the way from what is held to a target that another action names.

    The first number is the fraction, cut to between 0 and 1 and multiplied by `largest`; the others are the action of
    `target`. A fraction of 0 trades nothing. Limits of the target hold for the account too, up to what it has drifted
    by, because they are convex.

    Attributes:
        target: What the rest of the action means: `LongOnly`, `LongShort` or `Position`.
        largest: The greatest fraction of the way taken in a day.
    """

    target: Action = LongOnly(bound=1.0, scale=5.0)
    largest: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.largest <= 1:
            raise ValueError(f"Step: largest is {self.largest}, expected a fraction above 0 and at most 1")
        if isinstance(self.target, RelativeAction):
            raise ValueError(f"Step: its target is {type(self.target).__name__}, itself relative; use LongOnly")

    @property
    def max_stretch(self) -> float:
        """That of the target."""
        return self.target.max_stretch

    def space(self, n_assets: int) -> FractionBox:
        """Returns the box of the fraction and the target's numbers; an error where the target is no box."""
        inner: spaces.Space[Any] = self.target.space(n_assets)
        if not isinstance(inner, spaces.Box):
            raise ValueError(f"Step: {type(self.target).__name__} acts in {inner}; use LongOnly, LongShort or Position")
        low, high = (np.concatenate([[edge], ends]) for edge, ends in ((-1.0, inner.low), (1.0, inner.high)))
        return FractionBox(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def adjust_weights(
        self,
        actions: AnyArray,
        held: FloatArray,
        status: StatusArray,
        day: IntArray,
        targets: FloatArray,
        hold: BoolArray,
    ) -> None:
        """Writes the weights between what is held and the target."""
        hold[:] = False
        self.target.to_weights(np.ascontiguousarray(actions[:, 1:]), status, day, targets, hold)
        step_towards(actions, self.largest, held, targets, hold)
