"""Validation of a policy on days that it does not learn from: one deterministic pass over the valid tape."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.policies import BasePolicy

from agents.algorithms.base import AgentConfig
from agents.networks.extractors import StateTable
from envs import BatchMarket
from envs.rewards import Reward
from market.arrays import AnyArray, DateArray, FloatArray


class Predictor(Protocol):
    """Any policy."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action and the memory to pass in with the next observation."""
        ...


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """One pass over a tape of T days, from a wealth of 1.

    Attributes:
        dates: ``[T]``.
        wealth: ``[T]`` at each close.
        benchmark: ``[T]`` wealth of the tape's benchmark.
        weights: ``[T - 1, 1 + N]`` right after each trade, cash first.
        turnover: ``[T - 1]``.
    """

    dates: DateArray
    wealth: FloatArray
    benchmark: FloatArray
    weights: FloatArray
    turnover: FloatArray

    def objective(self, log_benchmark: FloatArray, risk_aversion: float) -> float:
        """Returns mean daily log growth over a benchmark ``[T]`` less half the risk aversion times its variance."""
        return float(self.gains(log_benchmark, risk_aversion).mean())

    def gains(self, log_benchmark: FloatArray, risk_aversion: float) -> FloatArray:
        """Returns what each day adds to the objective: ``[T - 1]``, its mean."""
        excess = np.diff(np.log(self.wealth)) - log_benchmark[:-1]
        gained: FloatArray = excess - 0.5 * risk_aversion * np.square(excess - excess.mean())
        return gained

    def measures(self) -> dict[str, float]:
        """Returns log growth of wealth and of the benchmark over the whole pass, and the mean turnover of a day."""
        return {
            "growth": float(np.log(self.wealth[-1])),
            "benchmark_growth": float(np.log(self.benchmark[-1])),
            "turnover": float(self.turnover.mean()),
        }


def trace_episode(policy: Predictor, market: BatchMarket) -> EpisodeTrace:
    """Returns what deterministic actions of `policy` come to over the whole tape of `market`, which holds one episode.

    An account that is ruined stays as it is until the end.
    """
    tape, steps = market.tape, len(market.tape) - 1
    observation, info = market.reset(seed=0, options={"day": 0, "days": steps})
    wealth, turnover = np.ones(steps + 1), np.zeros(steps)
    weights = np.zeros((steps, 1 + tape.n_assets))
    weights[:, 0] = 1.0
    state, starts = None, np.ones(1, np.bool_)
    for day in range(steps):
        action, state = policy.predict(observation, state, starts, deterministic=True)
        observation, _, terminated, _, info = market.step(action)
        wealth[day + 1 :] = info["wealth"][0]
        weights[day], turnover[day] = info["weights"][0], info["turnover"][0]
        starts = np.zeros(1, np.bool_)
        if terminated[0]:
            break
    benchmark = np.concatenate([[1.0], np.cumprod(1 + tape.benchmark[:-1])])
    return EpisodeTrace(tape.dates, wealth, benchmark, weights, turnover)


def risk_aversion_of(config: AgentConfig, reward: Reward) -> float | None:
    """Returns the risk aversion that a policy is chosen with: the agent's own, else the reward's; None for growth."""
    for source in (config, reward):
        found = getattr(source, "risk_aversion", None)
        if found is not None:
            return float(found)
    return None


class Validator:
    """Evaluates the weights that a policy has at the moment, by another policy of the same networks on the valid tape.

    It draws no random numbers, so how often one looks does not change what is learnt. Policies are chosen by their log
    growth or, where the agent or the reward has a risk aversion, by what they then maximise: mean excess log growth
    over the market's benchmark less half the risk aversion times its variance.

    Args:
        config: Configuration of the agent.
        market: The valid tape with compact observations, one episode, not starting anew.
        portfolio: As in `AgentConfig.build`.
    """

    def __init__(self, config: AgentConfig, market: BatchMarket, portfolio: bool) -> None:
        table = StateTable(market.tape)
        self.market = market
        self.risk_aversion = risk_aversion_of(config, market.reward)
        self.policy = config.policy(market.observation_space, market.action_space, table, portfolio)

    def validate(self, learner: BasePolicy) -> EpisodeTrace:
        """Returns the trace of the learner's present weights."""
        self.policy.load_state_dict(learner.state_dict())
        return trace_episode(self.policy, self.market)

    def measures(self, path: EpisodeTrace) -> dict[str, float]:
        """Returns the measures of a pass, with the ``objective`` where it is more than growth."""
        found = path.measures()
        if self.risk_aversion is not None:
            found["objective"] = path.objective(self.market.log_benchmark, self.risk_aversion)
        return found

    def gains(self, path: EpisodeTrace) -> FloatArray:
        """Returns what each day adds to what policies are chosen by: ``[T - 1]``."""
        if self.risk_aversion is None:
            return np.diff(np.log(path.wealth))
        return path.gains(self.market.log_benchmark, self.risk_aversion)
