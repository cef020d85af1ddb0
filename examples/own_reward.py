"""A reward of one's own: losses count twice."""

from dataclasses import dataclass

import numpy as np

from envs import BatchMarket, Tape
from market import Panel, Synthetic


@dataclass(frozen=True)
class LossAversion:
    """Log growth, with losses weighted more than gains."""

    weight: float = 2.0

    def memory(self, wealth):
        """Returns the numbers ``[B, K]`` that an episode remembers between steps; here none."""
        return np.empty((len(wealth), 0))

    def __call__(self, result, memory):
        """Returns the reward ``[B]`` of an `envs.rewards.StepResult`."""
        return np.where(result.log_growth < 0, self.weight, 1.0) * result.log_growth


tape = Tape.from_panel(Panel.from_frame(Synthetic(stocks=4, days=80).read()))
market = BatchMarket(tape, n_envs=8, reward=LossAversion())
market.reset()
print(market.step(np.zeros((8, 5)))[1])
