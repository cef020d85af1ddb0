"""The mean of several agents: one account that holds the average of what they hold, booked once."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from agents.baselines.base import compact
from envs import LongShort, TargetWeights
from envs.actions.portfolio import Action
from evaluation.backtest import Backtest
from evaluation.rollout import rollout
from market.arrays import AnyArray, FloatArray
from tools.runs.rollouts import Market


class PlannedWeights:
    """Asks for given weights on each day of a tape.

    Attributes:
        name: Name in tables.
        weights: ``[T - 1, 1 + N]``, cash first.
        action: What the environment must take.
    """

    def __init__(self, name: str, weights: FloatArray) -> None:
        self.name, self.weights = name, weights
        gross = float(np.abs(weights[:, 1:]).sum(axis=1).max())
        self.is_long = bool(weights.min() >= 0.0)
        self.action: Action = TargetWeights() if self.is_long else LongShort(gross=max(gross, 1e-9))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action for a compact observation."""
        day, _ = compact(observation, self.weights.shape[1] - 1)
        wanted = self.weights[int(day.reshape(-1)[0])]
        return (wanted if isinstance(self.action, TargetWeights) else wanted[1:] / self.action.gross), state  # type: ignore[attr-defined]


def mean_of_seeds(market: Market, name: str, seeds: Sequence[Backtest]) -> Backtest:
    """Returns the account that holds, after each trade, the mean of the weights that the seeds hold after theirs.

    Trades of the seeds that cancel are never made, so it pays less than the seeds do apart.
    """
    planned = PlannedWeights(f"{name}: mean of {len(seeds)} seeds", np.mean([one.weights for one in seeds], axis=0))
    env = gymnasium.make(
        "FactorGym/Portfolio-v0", tape=market.tape, costs=market.costs, action=planned.action, observation="compact"
    )
    return rollout(planned, env)
