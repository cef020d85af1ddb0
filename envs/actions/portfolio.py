"""Actions: what a policy says, and the target weights that it means.

An action object owns its Gymnasium space and turns a batch of raw actions into target weights, cash first. It never
moves money: halted, vanished and limited assets are the business of `envs.accounting`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from envs.actions.kernels import cap_weights, long_short, softmax, target_shares
from envs.execution import AVAILABLE, StatusArray
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray

LARGEST_LOGIT = 300.0  # keeps exp() and its sum finite without subtracting the maximum
DOMINANT = 0.99


@runtime_checkable
class Action(Protocol):
    """Interface of every action."""

    @property
    def max_stretch(self) -> float:
        """How far the tradable weights may be scaled up to fill what halted assets left open; infinite or 1."""
        ...

    def space(self, n_assets: int) -> spaces.Space[Any]:
        """Returns the space of one action."""
        ...

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the target weights of `actions` ``[B, ...]`` to `targets` ``[B, 1 + N]`` and what is kept to `hold`.

        Args:
            actions: Checked raw actions, see `checked_actions`.
            status: ``[T, N]`` of the tape.
            day: ``[B]`` rows of the decisions.
            targets: Rows summing to 1, cash first. Where `hold`, NaN marks the assets that are left alone, and the
                rest of the row, which sums to 1, says how the others share what remains.
            hold: ``[B]``, true where assets are left alone; all of them where no target is NaN.
        """
        ...


@runtime_checkable
class MaskedAction(Protocol):
    """An action some of whose choices make no sense at times."""

    def possible(self, status: StatusArray, day: IntArray, account: FloatArray) -> BoolArray:
        """Returns ``[B, A]``, true for the choices that can do something, of accounts ``[B, 1 + N]`` at the close.

        Args:
            status: ``[T, N]`` as far as it is known after the close of each day, see `envs.execution.known_status`.
            day: ``[B]`` rows of the decisions.
            account: Weights at the close, cash first.
        """
        ...


@dataclass(frozen=True)
class LongOnly:
    """Long-only weights: the softmax of one logit for each asset, with a logit for cash in front.

    The space is a box of ``1 + N`` logits (N without cash) in ``[-bound, bound]``; actions outside are clipped. The
    default bound lets one asset among hundreds take more than 99.9 %; bounds that cannot reach 99 % are refused,
    because an agent behind them holds equal weights whatever it learns. ``LongOnly(bound=1, scale=20)`` is the same
    policy class over the normalised box ``[-1, 1]`` that squashed policies (SAC, TD3) and environment checkers prefer.

    Attributes:
        cash: Whether cash may be held; without it, it is held only where nothing else is available.
        cap: Largest weight of an asset, or None; the excess goes to the others in proportion.
        bound: Largest size of a raw action.
        scale: Logits per unit of action.
    """

    cash: bool = True
    cap: float | None = None
    bound: float = 20.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (self.bound > 0 and self.scale > 0 and self.bound * self.scale <= LARGEST_LOGIT):
            raise ValueError(
                f"LongOnly: bound {self.bound} times scale {self.scale} must be positive and at most {LARGEST_LOGIT}"
            )
        if self.cap is not None and not 0 < self.cap <= 1:
            raise ValueError(f"LongOnly: cap is {self.cap}, expected a weight above 0 and at most 1")

    @property
    def max_stretch(self) -> float:
        """Infinite without a cap; 1 with one, so that no halt pushes a weight over it."""
        return math.inf if self.cap is None else 1.0

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box of logits; an error where its bounds cannot give one asset 99 %."""
        width = n_assets + self.cash
        reach = 1 / (1 + (width - 1) * math.exp(-2 * self.bound * self.scale))
        if reach < DOMINANT:
            raise ValueError(
                f"LongOnly: with bound {self.bound} and scale {self.scale} one of {n_assets} assets reaches only "
                f"{reach:.0%}; raise scale to {math.log(width * 100) / 2 / self.bound:.3g} or more"
            )
        return spaces.Box(-self.bound, self.bound, (width,), np.float32)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the softmax of the logits, cut at `cap`."""
        softmax(actions.reshape(-1), self.bound, self.scale, status, day, targets)
        if self.cap is not None:
            cap_weights(targets, self.cap)


@dataclass(frozen=True)
class TargetWeights:
    """Long-only weights as they stand: one share for each asset, with one for cash in front, normalised to sum to 1.

    A negative share leaves that asset alone: it is not traded and drifts. The others, cash included, are then shares of
    what remains, so ``[0, -1, 0, 1]`` keeps the first asset, sells the second and buys the third with the proceeds and
    all the cash. Zeros mean cash. Made for classical policies, which know their weights; learning agents do better with
    the logits of `LongOnly`.
    """

    @property
    def max_stretch(self) -> float:
        """Infinite: weights are long only."""
        return math.inf

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box ``[-1, 1]`` with one entry for cash and one for each asset, in double precision."""
        return spaces.Box(-1.0, 1.0, (1 + n_assets,), np.float64)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the normalised shares and marks what is left alone."""
        target_shares(actions, targets, hold)


@dataclass(frozen=True)
class LongShort:
    """Signed weights: each action in ``[-1, 1]`` is a share of the gross limit; cash is what remains.

    Attributes:
        gross: Largest sum of the sizes of the weights.
        net: Largest size of the sum of the weights; 0 is market neutral, None leaves it to `gross`.
        cap: Largest size of one weight, or None.
    """

    gross: float = 1.0
    net: float | None = None
    cap: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gross) and self.gross > 0):
            raise ValueError(f"LongShort: gross is {self.gross}, expected a positive number such as 1 or 2")
        if self.net is not None and not self.net >= 0:
            raise ValueError(f"LongShort: net is {self.net}, expected at least 0")
        if self.cap is not None and not self.cap > 0:
            raise ValueError(f"LongShort: cap is {self.cap}, expected a positive weight")

    @property
    def max_stretch(self) -> float:
        """1: a halt never levers the other assets up."""
        return 1.0

    @property
    def net_limit(self) -> float:
        """Largest size of the sum of the weights."""
        return self.gross if self.net is None else self.net

    def space(self, n_assets: int) -> spaces.Box:
        """Returns the box ``[-1, 1]`` with one entry for each asset."""
        return spaces.Box(-1.0, 1.0, (n_assets,), np.float32)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the signed weights within the limits."""
        long_short(actions, self.gross, self.net_limit, math.inf if self.cap is None else self.cap, targets)


@dataclass(frozen=True)
class Templates:
    """Discrete portfolios: 0 keeps the account as it is, the others choose target weights.

    Attributes:
        weights: One row ``[1 + N]``, cash first, for each action after 0. Empty means all cash, equal weights over
            what is available, and everything in each single asset: ``3 + N`` actions in all.
    """

    weights: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        for k, row in enumerate(self.weights):
            if not all(map(math.isfinite, row)) or abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"Templates: row {k} of weights sums to {sum(row)}, expected 1, cash included")

    @property
    def max_stretch(self) -> float:
        """Infinite for long-only rows, otherwise 1."""
        return 1.0 if any(weight < 0 for row in self.weights for weight in row) else math.inf

    def space(self, n_assets: int) -> spaces.Discrete:
        """Returns the discrete space; an error where a row of `weights` has another width."""
        for k, row in enumerate(self.weights):
            if len(row) != 1 + n_assets:
                raise ValueError(f"Templates: row {k} has {len(row)} weights, expected cash and {n_assets} assets")
        return spaces.Discrete(1 + len(self.weights) if self.weights else 3 + n_assets)

    def to_weights(
        self, actions: AnyArray, status: StatusArray, day: IntArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes the chosen rows."""
        np.equal(actions, 0, out=hold)
        if self.weights:
            rows = np.array(self.weights)
            targets[:] = (rows / rows.sum(axis=1, keepdims=True))[np.maximum(actions - 1, 0)]
            return
        targets[:] = 0.0
        equal, single = np.flatnonzero(actions == 2), np.flatnonzero(actions > 2)
        available = (status[day[equal]] & AVAILABLE) > 0
        targets[equal, 1:] = available / np.maximum(available.sum(axis=1), 1)[:, None]
        targets[single, actions[single] - 2] = 1.0
        targets[:, 0] = 1.0 - targets[:, 1:].sum(axis=1)


def checked_actions(actions: AnyArray | Sequence[Any], space: spaces.Space[Any], n_envs: int) -> AnyArray:
    """Returns the actions of `n_envs` episodes as an array that `Action.to_weights` can take.

    Raises:
        ValueError: The shape is wrong, a number is not finite, or a discrete action does not exist.
    """
    array = np.asarray(actions)
    shape = (n_envs, *(space.shape or ()))
    if array.shape != shape:
        raise ValueError(f"actions have shape {array.shape}, expected {shape}")
    if isinstance(space, spaces.Discrete):
        if array.dtype.kind not in "iu":
            raise ValueError(f"actions are {array.dtype}, expected whole numbers from 0 to {space.n - 1}")
        if array.size and (array.min() < 0 or array.max() >= space.n):
            wrong = array[(array < 0) | (array >= space.n)][0]
            raise ValueError(f"action {wrong} does not exist; expected 0 to {space.n - 1}")
        return array
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(array.sum())  # then so is every term; this asks half as long as isfinite of each
    if not finite and not np.isfinite(array).all():
        episode = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"actions hold NaN or infinity (episode {episode}); expected finite numbers")
    return array
