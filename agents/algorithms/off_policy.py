"""Agents that learn from a replay memory, as frozen values; a compact step of it costs tens of bytes."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sb3_contrib
import stable_baselines3
from gymnasium import spaces
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from agents.algorithms.base import Agent, ContinuousAgent
from agents.networks.off_policy import PortfolioSACPolicy, PortfolioTD3Policy, PortfolioTQCPolicy


@dataclass(frozen=True)
class DQN(Agent):
    """Deep Q-learning for actions that are a choice among a few.

    Reference: Mnih et al. (2015), Human-level control through deep reinforcement learning.

    Attributes:
        learning_rate: Learning rate of Adam.
        buffer_size: Replay buffer size in steps.
        learning_starts: Steps before the first update.
        batch_size: Steps of a minibatch.
        tau: Share of the network that the target takes over at an update of it.
        gamma: Discount factor per day.
        train_freq: Days of each environment between updates.
        gradient_steps: Minibatches at each of them.
        target_update_interval: Steps between updates of the target.
        exploration_fraction: Share of the training over which exploration declines.
        exploration_final_eps: Share of random actions after that.
        max_grad_norm: Gradient norm clip.
        net_arch: Hidden widths of the networks.
    """

    learning_rate: float = 1e-4
    buffer_size: int = 500_000
    learning_starts: int = 2_000
    batch_size: int = 256
    tau: float = 1.0
    gamma: float = 0.99
    train_freq: int = 4
    gradient_steps: int = 4
    target_update_interval: int = 2_000
    exploration_fraction: float = 0.2
    exploration_final_eps: float = 0.05
    max_grad_norm: float = 10.0
    net_arch: tuple[int, ...] = (64, 64)

    algorithm, plain = stable_baselines3.DQN, DQNPolicy

    def _check_actions(self, action_space: spaces.Space[Any]) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"DQN: it chooses among a few actions, but actions are {action_space}; use SellHoldBuy")


@dataclass(frozen=True)
class SAC(ContinuousAgent):
    """Soft actor-critic with a learnt temperature.

    Reference: Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications. https://arxiv.org/abs/1812.05905

    Attributes:
        learning_rate: Of Adam, for actor, critics and temperature.
        buffer_size: Replay buffer size in steps, tens of bytes each with compact observations.
        learning_starts: Steps of random actions before the first update.
        batch_size: Steps of a minibatch.
        tau: Share of the critics that the targets take over at an update.
        gamma: Discount factor per day.
        train_freq: Days of each environment between updates.
        gradient_steps: Minibatches at each of them.
        ent_coef: Temperature; ``auto`` learns it.
        width: Hidden width of the portfolio networks.
        net_arch: Hidden widths of the plain networks.
    """

    learning_rate: float = 3e-4
    buffer_size: int = 500_000
    learning_starts: int = 2_000
    batch_size: int = 256
    tau: float = 0.005
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 4
    ent_coef: float | Literal["auto"] = "auto"
    width: int = 32
    net_arch: tuple[int, ...] = (64, 64)

    algorithm, plain, equivariant = stable_baselines3.SAC, SACPolicy, PortfolioSACPolicy


@dataclass(frozen=True)
class TQC(ContinuousAgent):
    """Truncated quantile critics: SAC whose critics know the distribution of returns and drop the best of it.

    Reference: Kuznetsov et al. (2020), Controlling Overestimation Bias with Truncated Mixture of Continuous
    Distributional Quantile Critics. https://arxiv.org/abs/2005.04269

    Attributes:
        learning_rate: Of Adam, for actor, critics and temperature.
        buffer_size: Replay buffer size in steps.
        learning_starts: Steps of random actions before the first update.
        batch_size: Steps of a minibatch.
        tau: Share of the critics that the targets take over at an update.
        gamma: Discount factor per day.
        train_freq: Days of each environment between updates.
        gradient_steps: Minibatches at each of them.
        ent_coef: Temperature; ``auto`` learns it.
        top_quantiles_to_drop_per_net: Highest quantiles of each critic that the target leaves out.
        n_quantiles: Quantiles of each critic.
        width: Hidden width of the portfolio networks.
        net_arch: Hidden widths of the plain networks.
    """

    learning_rate: float = 3e-4
    buffer_size: int = 500_000
    learning_starts: int = 2_000
    batch_size: int = 256
    tau: float = 0.005
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 4
    ent_coef: float | Literal["auto"] = "auto"
    top_quantiles_to_drop_per_net: int = 2
    n_quantiles: int = 25
    width: int = 32
    net_arch: tuple[int, ...] = (64, 64)

    algorithm, plain, equivariant = sb3_contrib.TQC, TQCPolicy, PortfolioTQCPolicy


@dataclass(frozen=True)
class TD3(ContinuousAgent):
    """Twin delayed deep deterministic policy gradient.

    Reference: Fujimoto et al. (2018), Addressing Function Approximation Error in Actor-Critic Methods.
    https://arxiv.org/abs/1802.09477

    Attributes:
        learning_rate: Of Adam, for actor and critics.
        buffer_size: Replay buffer size in steps.
        learning_starts: Steps of random actions before the first update.
        batch_size: Steps of a minibatch.
        tau: Share of the networks that the targets take over at an update.
        gamma: Discount factor per day.
        train_freq: Days of each environment between updates.
        gradient_steps: Minibatches at each of them.
        policy_delay: Updates of the critics for one of the actor.
        exploration_noise: Standard deviation of the noise on actions in ``[-1, 1]``.
        target_policy_noise: Of the noise on the target's actions.
        target_noise_clip: Largest of it.
        width: Hidden width of the portfolio networks.
        net_arch: Hidden widths of the plain networks.
    """

    learning_rate: float = 1e-3
    buffer_size: int = 500_000
    learning_starts: int = 2_000
    batch_size: int = 256
    tau: float = 0.005
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 4
    policy_delay: int = 2
    exploration_noise: float = 0.1
    target_policy_noise: float = 0.2
    target_noise_clip: float = 0.5
    width: int = 32
    net_arch: tuple[int, ...] = (64, 64)

    algorithm, plain, equivariant = stable_baselines3.TD3, TD3Policy, PortfolioTD3Policy

    def _learning(self, env: VecEnv) -> dict[str, Any]:
        chosen = super()._learning(env)
        shape = env.action_space.shape
        assert shape is not None
        spread = np.full(shape, chosen.pop("exploration_noise"))
        return chosen | {"action_noise": NormalActionNoise(np.zeros(shape), spread)}
