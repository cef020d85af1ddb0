"""Rewards: what a step is worth to the agent, as objects.

A reward reads the outcome of a step and a few numbers of memory for each episode, which start afresh with the episode.
Only additions, products, quotients and square roots are used, so a batch equals its single episodes to the bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from envs.arguments import refuse_class
from envs.specs import from_data
from market.arrays import FloatArray


class StepResult(NamedTuple):
    """Result of a step, ``[B]`` each: growth of wealth and its log, log growth of the benchmark, wealth, turnover."""

    log_growth: FloatArray
    growth: FloatArray
    log_benchmark: FloatArray
    wealth: FloatArray
    turnover: FloatArray

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the result of a step has no '{name}'; it has {', '.join(self._fields)}")


@runtime_checkable
class Reward(Protocol):
    """Interface of every reward."""

    def memory(self, wealth: FloatArray) -> FloatArray:
        """Returns the memory ``[B, K]`` of episodes that begin with `wealth` ``[B]``."""
        ...

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the rewards ``[B]`` and brings `memory` up to date in place."""
        ...


class _Forgetful:
    """A reward that needs no memory."""

    def memory(self, wealth: FloatArray) -> FloatArray:
        """Returns a memory of no numbers."""
        return np.empty((len(wealth), 0))


@dataclass(frozen=True)
class RewardFunction(_Forgetful):
    """A plain function as a reward, such as ``lambda step: step.log_growth - 0.1 * step.turnover``.

    Environments wrap a function by themselves. A run's configuration cannot hold one: write a frozen dataclass there.

    Attributes:
        function: Takes a `StepResult` of B episodes and returns B rewards.
    """

    function: Callable[[StepResult], FloatArray]

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns what the function does; an error where that is not one finite number an episode."""
        name = getattr(self.function, "__name__", repr(self.function))
        return checked_rewards(self.function(outcome), len(outcome.wealth), name)


def checked_rewards(found: Any, episodes: int, name: str) -> FloatArray:
    """Returns what a reward of one's own has returned as an array ``[B]``.

    Raises:
        ValueError: It is not one finite number for each of `episodes`.
    """
    rewards = np.asarray(np.nan if found is None else found, dtype=np.float64)
    if rewards.shape == (episodes,) and np.isfinite(rewards).all():
        return rewards
    wrong = "a number that is not finite"
    if found is None:
        wrong = "None"
    elif rewards.shape != (episodes,):
        wrong = f"shape {rewards.shape} for {episodes} episodes"
    raise ValueError(f"reward '{name}': it returned {wrong}; return one finite number for each episode")


def as_reward(reward: Any) -> Reward:
    """Returns a reward as it is or as JSON describes it, and a plain function as a `RewardFunction`.

    Raises:
        ValueError: It is neither.
    """
    reward = from_data(reward, "reward")
    refuse_class("reward", reward)
    if isinstance(reward, Reward):
        return reward
    if not callable(reward):
        raise ValueError(f"reward is {reward!r}, expected a reward of envs.rewards, one of your own, or a function")
    return RewardFunction(reward)


@dataclass(frozen=True)
class LogGrowth(_Forgetful):
    """``log(V_new / V_old)``; the rewards of an episode sum to the log of its final over its initial wealth."""

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the log growth of wealth."""
        return outcome.log_growth


@dataclass(frozen=True)
class SimpleReturn(_Forgetful):
    """``V_new / V_old - 1``."""

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the simple return of the account."""
        return outcome.growth - 1.0


@dataclass(frozen=True)
class ExcessGrowth(_Forgetful):
    """Log growth of wealth over log growth of the tape's benchmark."""

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the difference of the log growths."""
        return outcome.log_growth - outcome.log_benchmark


@dataclass(frozen=True)
class Excess(_Forgetful):
    """Log growth over that of a named benchmark, less half the risk aversion times its square.

    Over daily excesses, whose mean is small beside their deviation, the mean of this reward is the mean excess growth
    less half the risk aversion times its variance. The benchmark does not depend on what the agent does, so that taking
    it away changes no ranking of policies; it takes noise out of what they learn from.

    Attributes:
        benchmark: A name among `Tape.benchmarks`: ``equal_weight``, which every tape has; ``index`` where one was
            given; ``rule``, which `Tape.with_benchmark` adds.
        risk_aversion: Price of a unit of variance.

    Reference: Mao et al. (2018), Variance Reduction for Reinforcement Learning in Input-Driven Environments.
    https://arxiv.org/abs/1807.02264
    """

    benchmark: str = "equal_weight"
    risk_aversion: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.risk_aversion) and self.risk_aversion >= 0):
            raise ValueError(f"Excess: risk_aversion is {self.risk_aversion}, expected a finite number of at least 0")

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the excess less its risk."""
        excess = outcome.log_growth - outcome.log_benchmark
        return excess - 0.5 * self.risk_aversion * excess * excess


@dataclass(frozen=True)
class DifferentialSharpe:
    """Contribution of the day's return to an exponentially weighted Sharpe ratio, per unit of its decay rate.

    With ``A`` and ``B`` the moving averages of the return and of its square, ``D = (B dA - A dB / 2) / (B - A^2)^1.5``.
    Zero while the averages show no variance, as on the first day.

    Attributes:
        decay: Rate ``eta`` of the moving averages; 0.01 looks back about a hundred days.

    Reference: Moody and Saffell (1998), Reinforcement Learning for Trading, equation 11.
    """

    decay: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise ValueError(f"DifferentialSharpe: decay is {self.decay}, expected between 0 and 1")

    def memory(self, wealth: FloatArray) -> FloatArray:
        """Returns the two moving averages, both zero."""
        return np.zeros((len(wealth), 2))

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the differential Sharpe ratio."""
        returns = outcome.growth - 1.0
        mean, square = memory[:, 0].copy(), memory[:, 1].copy()
        d_mean, d_square = returns - mean, returns * returns - square
        variance = square - mean * mean
        known = variance > 1e-12
        safe = np.where(known, variance, 1.0)
        memory[:, 0] += self.decay * d_mean
        memory[:, 1] += self.decay * d_square
        return np.where(known, (square * d_mean - 0.5 * mean * d_square) / (safe * np.sqrt(safe)), 0.0)


@dataclass(frozen=True)
class DrawdownPenalty:
    """Another reward less `weight` times the drawdown, the share of the episode's highest wealth that is lost."""

    base: Reward = LogGrowth()
    weight: float = 0.1

    def __post_init__(self) -> None:
        _check_weight("DrawdownPenalty", self.weight)

    def memory(self, wealth: FloatArray) -> FloatArray:
        """Returns the highest wealth so far, followed by the base reward's memory."""
        return np.concatenate([wealth[:, None], self.base.memory(wealth)], axis=1)

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the base reward less the penalty."""
        memory[:, 0] = np.maximum(memory[:, 0], outcome.wealth)
        drawdown = 1.0 - outcome.wealth / memory[:, 0]
        return self.base(outcome, memory[:, 1:]) - self.weight * drawdown


@dataclass(frozen=True)
class TurnoverPenalty:
    """Another reward less `weight` times the day's turnover, on top of what the trade really cost."""

    base: Reward = LogGrowth()
    weight: float = 1e-3

    def __post_init__(self) -> None:
        _check_weight("TurnoverPenalty", self.weight)

    def memory(self, wealth: FloatArray) -> FloatArray:
        """Returns the base reward's memory."""
        return self.base.memory(wealth)

    def __call__(self, outcome: StepResult, memory: FloatArray) -> FloatArray:
        """Returns the base reward less the penalty."""
        return self.base(outcome, memory) - self.weight * outcome.turnover


def _check_weight(name: str, weight: float) -> None:
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{name}: weight is {weight}, expected a finite number of at least 0")
