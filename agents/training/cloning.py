"""Behaviour cloning: an agent begins at a classical rule, and leaves it where learning finds that leaving pays.

The rule trades the train days once. Accounts that stand somewhere between the rule's position of a day and its position
of another day are then led by the policy for some days, and the policy learns to hold what the rule holds after each of
its trades. Shown single days alone it would learn to copy yesterday's position, which is nearly today's.

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
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from agents.baselines.base import ClassicalPolicy, Rule
from agents.differentiable.actions import has_gradient, holds, target_weights
from agents.differentiable.market import DifferentiableMarket, TradedDay
from agents.history import History
from envs import BatchMarket, Costs, Episodes, Step, Tape
from envs.execution import AVAILABLE
from market.arrays import FloatArray, IntArray
from market.panel import Panel
from market.states import MarketStates

ACCOUNTS = 16
"""Accounts of one step of the fit."""

SMALLEST = 0.02
"""Fractions of the way are drawn up to this one: those below 0 trade nothing and have no gradient."""

DAYS = 10
"""Days that each of them is led along the rule's path."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """Actions of a rule on every day of a tape, from all cash.

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
    model: BaseAlgorithm, market: BatchMarket, shown: Demonstration, n_steps: int, learning_rate: float = 1e-2
) -> float:
    """Fits the deterministic actions of a model's policy to a demonstration; returns the last mean distance.

    The distance of a day is the one-way turnover between the weights after the policy's trade and the rule's.

    Args:
        model: What is to learn; its environment has compact observations.
        market: The market of that environment.
        shown: What the rule did on the market's tape.
        n_steps: Steps of Adam.
        learning_rate: Learning rate of Adam; it falls to zero linearly.

    Raises:
        ValueError: The actions have no gradient by weights, or the policy has a memory.
    """
    _check(model, market)
    money = DifferentiableMarket(market)
    optimiser = torch.optim.Adam(model.policy.parameters(), lr=learning_rate)
    length = min(DAYS, len(shown.accounts))
    model.policy.set_training_mode(True)
    distance = torch.zeros(())
    for step in range(n_steps):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 - step / n_steps)
        first = torch.randint(0, len(shown.accounts) - length + 1, (ACCOUNTS,)).numpy()
        distance = _distance(model, money, shown, first, length)
        optimiser.zero_grad()
        torch.autograd.backward(distance)
        torch.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
        optimiser.step()
    model.policy.set_training_mode(False)
    return float(distance.detach())


def _distance(
    model: BaseAlgorithm, money: DifferentiableMarket, shown: Demonstration, first: IntArray, length: int
) -> Float[Tensor, ""]:
    """Returns the mean distance from the rule over some days, for accounts that begin on or beside its path."""
    others = torch.randint(0, len(shown.accounts), (len(first),)).numpy()
    share = torch.rand(len(first), 1, dtype=torch.float64).numpy()
    account = torch.from_numpy(shown.accounts[first] + share * (shown.accounts[others] - shown.accounts[first]))
    distances = []
    for day in range(length):
        rows = first + day
        found, stuck = _traded(model, money, rows, account)
        distances.append(0.5 * (found.weights - torch.from_numpy(shown.weights[rows])).abs().sum(1).mean() + stuck)
        account = found.account
    return torch.stack(distances).mean()


def _traded(
    model: BaseAlgorithm, money: DifferentiableMarket, rows: IntArray, account: Tensor
) -> tuple[TradedDay, Float[Tensor, ""]]:
    """Returns a day of accounts that do what the policy says, and how far fractions are below `SMALLEST`."""
    market = money.market
    observation = {"day": torch.from_numpy(rows[:, None]), "account": account.float()}
    on_device = {name: part.to(model.device) for name, part in observation.items()}
    raw = deterministic_action(model.policy, on_device).double().cpu()
    held = money.drift(rows, account)
    available = torch.from_numpy((market.tape.status[rows] & AVAILABLE) > 0)
    targets = target_weights(market.action, raw, held.weights, available)
    stuck = (SMALLEST - raw[:, 0]).clamp(min=0).mean() if isinstance(market.action, Step) else torch.zeros(())
    return money.trade(rows, held, targets, hold=holds(market.action, raw)), stuck


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
