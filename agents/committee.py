"""A committee: several policies decide together by the average of the weights that each of them would hold."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from agents.baselines.base import compact
from envs import BatchMarket
from envs.actions.portfolio import Action, checked_actions
from envs.actions.relative import RelativeAction
from envs.stated import LEFT_ALONE, StatedWeights
from market.arrays import AnyArray, FloatArray


class Decider(Protocol):
    """Any policy behind the ``predict`` of stable-baselines3."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action for an observation and the memory to pass in with the next one."""
        ...


class Committee:
    """Policies that trade one account; of one member it books what that member books, to the bit.

    What all members leave alone is left alone; a member that leaves an asset alone while others trade it votes for the
    weight that is held. On a day that may not trade everything is left alone. The environment must have
    ``action=committee.action`` and compact observations; relative actions start from the account as these show it, in
    single precision.

    Attributes:
        name: Name in tables.
        action: What the environment must have.

    Args:
        members: Policies that act in the action space of `market`; each keeps its own memory.
        market: A market with the members' own action, on the tape that is traded.
        name: Name in tables.
    """

    def __init__(self, members: Sequence[Decider], market: BatchMarket, name: str | None = None) -> None:
        if not members:
            raise ValueError("committee: it has no members; name at least one policy")
        self.members, self.market = tuple(members), market
        self.name = name or seeds_name(len(self.members))
        self.action: Action = StatedWeights(market.action.max_stretch)

    @property
    def relative(self) -> bool:
        """Whether members act on what the account has drifted to at the fill, see `envs.actions.relative`."""
        return isinstance(self.market.action, RelativeAction)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the stated weights ``[1 + N]`` for one compact observation, and the members' memories."""
        day, account = compact(observation, self.market.tape.n_assets)
        memories = [None] * len(self.members) if state is None else state
        votes, kept = [], []
        for member, memory in zip(self.members, memories, strict=True):
            action, after = member.predict(observation, memory, episode_start, deterministic)
            votes.append(self._weights(action, int(day[0]), account))
            kept.append(after)
        if not self.market.due[int(day[0])]:
            return np.full_like(account, LEFT_ALONE, dtype=np.float64), kept
        return _agreed(np.stack(votes), account), kept

    def _weights(self, action: AnyArray, day: int, account: AnyArray) -> FloatArray:
        """Returns the weights ``[1 + N]`` that a member asks for, NaN where it leaves an asset alone."""
        space, width = self.market.action_space, 1 + self.market.tape.n_assets
        targets, hold = np.zeros((1, width)), np.zeros(1, np.bool_)
        checked = checked_actions(np.asarray(action)[None], space, 1)
        self.market.to_weights(checked, np.array([day]), account.reshape(1, -1).astype(np.float64), targets, hold)
        if hold[0] and not np.isnan(targets).any():
            targets[:, 1:] = np.nan
        weights: FloatArray = targets[0]
        return weights


def seeds_name(count: int) -> str:
    """Returns the name of a committee of so many seeds."""
    return f"committee of {count} seeds"


def _agreed(votes: FloatArray, account: FloatArray) -> FloatArray:
    """Returns the mean of votes ``[M, 1 + N]``; the cash of a member that leaves assets alone is what remains."""
    alone = np.isnan(votes)
    if len(votes) == 1:
        return np.where(alone[0], LEFT_ALONE, votes[0])
    meant = np.where(alone, account, votes)
    for k in np.flatnonzero(alone.any(axis=1)):
        open_part = votes[k][~alone[k]]
        room = 1.0 - account[alone[k]].sum()
        meant[k][~alone[k]] = open_part / open_part.sum() * room if open_part.sum() > 0 else 0.0
        meant[k, 0] += 1.0 - meant[k].sum()
    mean = meant.mean(axis=0)
    everyone = alone.all(axis=0)
    mean[0] += 1.0 - mean.sum()
    decided: FloatArray = np.where(everyone, LEFT_ALONE, mean)
    return decided
