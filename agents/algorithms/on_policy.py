"""Agents as frozen values: the published hyperparameters of each algorithm, under the names of stable-baselines3.

Its implementations, and those of sb3-contrib, learn. On a portfolio the networks share one scorer over all assets
(`agents.networks.on_policy`, `agents.networks.off_policy`); on a single stock, and wherever actions are a choice among
a few or memory is recurrent, they are stable-baselines3's own over `FlatLookup`. Agents with a replay memory are in
`agents.algorithms.off_policy`.
"""

from dataclasses import dataclass

import sb3_contrib
import stable_baselines3
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy

from agents.algorithms.base import Agent, AgentConfig
from agents.algorithms.off_policy import DQN, SAC, TD3, TQC
from agents.networks.on_policy import PortfolioPolicy

__all__ = ["A2C", "DQN", "PPO", "SAC", "TD3", "TQC", "AgentConfig", "RecurrentPPO"]


@dataclass(frozen=True)
class PPO(Agent):
    """Proximal policy optimisation: many environments, large batches and few epochs, which is fast on a CPU.

    Reference: Schulman et al. (2017), Proximal Policy Optimization Algorithms. https://arxiv.org/abs/1707.06347

    Attributes:
        learning_rate: Learning rate of Adam.
        n_steps: Days of each environment between updates.
        batch_size: Steps of a minibatch; at most all that was collected.
        n_epochs: Passes over what was collected.
        gamma: Discount factor per day.
        gae_lambda: Decay of generalised advantage estimation.
        clip_range: Clip range of the probability ratio.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradient norm clip.
        target_kl: Stop the epochs of an update beyond 1.5 times this divergence; None never does.
        width: Hidden width of the portfolio scorer.
        net_arch: Hidden widths of the plain networks.
        log_std_init: Log of the first standard deviation of continuous actions.
    """

    learning_rate: float = 3e-3
    n_steps: int = 16
    batch_size: int = 4096
    n_epochs: int = 3
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    width: int = 32
    net_arch: tuple[int, ...] = (64, 64)
    log_std_init: float = 0.0

    algorithm, plain, equivariant = stable_baselines3.PPO, ActorCriticPolicy, PortfolioPolicy


@dataclass(frozen=True)
class A2C(Agent):
    """Advantage actor-critic, the synchronous form of A3C.

    Reference: Mnih et al. (2016), Asynchronous Methods for Deep Reinforcement Learning.
    https://arxiv.org/abs/1602.01783

    Attributes:
        learning_rate: Learning rate of RMSprop.
        n_steps: Days of each environment between updates.
        gamma: Discount factor per day.
        gae_lambda: Decay of generalised advantage estimation; 1 is the paper's.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradient norm clip.
        width: Hidden width of the portfolio scorer.
        net_arch: Hidden widths of the plain networks.
        log_std_init: Log of the first standard deviation of continuous actions.
    """

    learning_rate: float = 7e-4
    n_steps: int = 5
    gamma: float = 0.99
    gae_lambda: float = 1.0
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    width: int = 32
    net_arch: tuple[int, ...] = (64, 64)
    log_std_init: float = 0.0

    algorithm, plain, equivariant = stable_baselines3.A2C, ActorCriticPolicy, PortfolioPolicy


@dataclass(frozen=True)
class RecurrentPPO(Agent):
    """PPO with a memory: an LSTM over everything seen in one row; the number of assets is part of its weights.

    Reference: Pleines et al. (2022), Generalization, Mayhems and Limits in Recurrent Proximal Policy Optimization.
    https://arxiv.org/abs/2205.11104

    Attributes:
        learning_rate: Learning rate of Adam.
        n_steps: Days of each environment between updates.
        batch_size: Steps of a minibatch; at most all that was collected.
        n_epochs: Passes over what was collected.
        gamma: Discount factor per day.
        gae_lambda: Decay of generalised advantage estimation.
        clip_range: Clip range of the probability ratio.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Gradient norm clip.
        lstm_hidden_size: Width of the memory.
        net_arch: Hidden widths of the networks behind it.
        log_std_init: Log of the first standard deviation of continuous actions.
    """

    learning_rate: float = 3e-4
    n_steps: int = 64
    batch_size: int = 1024
    n_epochs: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    lstm_hidden_size: int = 64
    net_arch: tuple[int, ...] = (64,)
    log_std_init: float = 0.0

    algorithm, plain = sb3_contrib.RecurrentPPO, RecurrentActorCriticPolicy
