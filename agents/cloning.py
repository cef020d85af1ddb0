"""Behaviour cloning: an agent begins at a classical rule, and leaves it where learning finds that leaving pays.

The rule trades the train days once. The policy is then shown the rule's accounts, mixed with accounts that are somewhat
elsewhere, and learns to ask for the weights that the rule holds after its trade.

Reference: Pomerleau (1989), ALVINN: An autonomous land vehicle in a neural network, for the method.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from agents.classical import ClassicalPolicy, Rule
from agents.differentiable import DifferentiableMarket
from agents.differentiable_actions import has_gradient, target_weights
from agents.history import History
from envs import BatchMarket, Costs, Episodes, Tape
from envs.legs import AVAILABLE
from market.arrays import FloatArray, IntArray
from market.panel import Panel
from market.states import MarketStates

BATCH = 64
BETWEEN = 0.5
"""Largest share of another day's account that is mixed into the account of a day."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What a rule did on every day of a tape, from all cash.

    Attributes:
        name: Of the rule.
        accounts: ``[T - 1, 1 + N]`` weights at each close, cash first.
        weights: ``[T - 1, 1 + N]`` right after each trade.
        returns: ``[T]`` simple return from each close to the next, after costs; the last is 0.
    """

    name: str
    accounts: FloatArray
    weights: FloatArray
    returns: FloatArray


def demonstrate(rule: Rule, tape: Tape, panel: Panel, states: MarketStates | None, costs: Costs) -> Demonstration:
    """Returns what `rule` does on `tape`, which is a part of `panel`."""
    policy = ClassicalPolicy(rule, History.of(tape, panel, states))
    market = BatchMarket(tape, 1, costs, rule.action, observation="compact", episodes=Episodes(), autoreset=False)
    observation, _ = market.reset(seed=0)
    steps, names = len(tape) - 1, tape.n_assets
    accounts, weights = np.zeros((2, steps, 1 + names))
    accounts[:, 0] = weights[:, 0] = 1.0
    wealth = np.ones(len(tape))
    for day in range(steps):
        accounts[day] = market.account[0]
        observation, _, terminated, _, info = market.step(policy.predict(observation)[0])
        weights[day], wealth[day + 1 :] = info["weights"][0], info["wealth"][0]
        if terminated[0]:
            break
    returns = np.zeros(len(tape))
    returns[:-1] = wealth[1:] / wealth[:-1] - 1
    return Demonstration(rule.name, accounts, weights, returns)


def clone(
    model: BaseAlgorithm, market: BatchMarket, shown: Demonstration, n_steps: int, learning_rate: float = 3e-3
) -> float:
    """Fits the deterministic actions of a model's policy to a demonstration; returns the last mean distance.

    The distance of a day is the one-way turnover between the weights that are asked for and the rule's.

    Args:
        model: What is to learn; its environment has compact observations.
        market: The market of that environment.
        shown: What the rule did on the market's tape.
        n_steps: Steps of Adam, each on a batch of days.
        learning_rate: Learning rate of Adam; it falls to zero linearly.

    Raises:
        ValueError: The actions have no gradient by weights, or the policy has a memory.
    """
    _check(model, market)
    money = DifferentiableMarket(market)
    optimiser = torch.optim.Adam(model.policy.parameters(), lr=learning_rate)
    model.policy.set_training_mode(True)
    distance = torch.zeros(())
    for step in range(n_steps):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 - step / n_steps)
        rows = torch.randint(0, len(shown.accounts), (BATCH,)).numpy()
        asked = _asked(model, money, rows, _accounts(shown, rows))
        distance = 0.5 * (asked - torch.from_numpy(shown.weights[rows])).abs().sum(1).mean()
        optimiser.zero_grad()
        distance.backward()
        optimiser.step()
    model.policy.set_training_mode(False)
    return float(distance.detach())


def _accounts(shown: Demonstration, rows: IntArray) -> FloatArray:
    """Returns the rule's accounts of some days; half of them drawn towards its account of another day."""
    others = torch.randint(0, len(shown.accounts), (len(rows),)).numpy()
    share = BETWEEN * torch.rand(len(rows), 1, dtype=torch.float64).numpy()
    share[::2] = 0.0
    mixed: FloatArray = shown.accounts[rows] + share * (shown.accounts[others] - shown.accounts[rows])
    return mixed


def _asked(
    model: BaseAlgorithm, money: DifferentiableMarket, rows: IntArray, accounts: FloatArray
) -> Float[Tensor, "B 1+N"]:
    """Returns the weights after the trade that the policy asks for."""
    market = money.market
    observation = obs_as_tensor({"day": rows[:, None], "account": accounts.astype(np.float32)}, model.device)
    raw = deterministic_action(model.policy, observation).double().cpu()
    held = money.drift(rows, torch.from_numpy(accounts))
    available = torch.from_numpy((market.tape.status[rows] & AVAILABLE) > 0)
    return money.trade(rows, held, target_weights(market.action, raw, held.weights, available)).weights


def deterministic_action(policy: BasePolicy, observation: dict[str, Tensor]) -> Float[Tensor, "B A"]:
    """Returns a policy's deterministic action in the units of its space, with gradients."""
    raw: Tensor = policy._predict(observation, deterministic=True)
    if not policy.squash_output:
        return raw
    space: Any = policy.action_space
    low, high = torch.from_numpy(space.low), torch.from_numpy(space.high)
    return low + 0.5 * (raw + 1.0) * (high - low)


def _check(model: BaseAlgorithm, market: BatchMarket) -> None:
    box = isinstance(market.action_space, spaces.Box) and not isinstance(model.policy, DQNPolicy)
    if not box or not has_gradient(market.action):
        raise ValueError(
            f"start_from: {type(market.action).__name__} has no gradient by which a rule could be learnt; use "
            "LongOnly, LongShort, Position, Tilt or Step"
        )
    if hasattr(model, "_last_lstm_states"):
        raise ValueError("start_from: a recurrent policy has no action for a single day; use PPO, SAC, TD3, TQC or APG")
