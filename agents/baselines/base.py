"""How a classical rule becomes a policy behind the ``predict`` of stable-baselines3, interchangeable with an agent.

A rule is a frozen dataclass that turns what is known after a close into what to hold. It is handed the past alone, see
`agents.history`, and cannot look further. `ClassicalPolicy` puts a rule behind `predict`, for the portfolio environment
with ``observation="compact"`` and ``action=rule.action``::

    policy = ClassicalPolicy(TopKDropN(k=10, n_drop=2), History.of(tape, panel, states))
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, action=policy.action, observation="compact")

Weights are those of `envs.TargetWeights`: cash first, normalised, and `LEAVE` for an asset that is not traded today
and drifts.
"""

from typing import Any, Protocol

import numpy as np

from agents.history import History, Past
from envs import TargetWeights
from envs.actions.portfolio import Action
from market.arrays import AnyArray, BoolArray, FloatArray

LEAVE = -1.0
HELD = 1e-9
"""A smaller weight is not a position."""


class Rule(Protocol):
    """Interface of every classical rule."""

    @property
    def name(self) -> str:
        """Name in tables, unique among rules with different settings."""
        ...

    @property
    def action(self) -> Action:
        """The action object that the environment must have."""
        ...

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns the action for one day.

        Args:
            known: The past up to today's close.
            account: ``[1 + N]`` weights at today's close, cash first.
        """
        ...


class LongOnlyRule:
    """A rule whose actions are target weights."""

    @property
    def action(self) -> TargetWeights:
        """Weights as they stand, of assets one by one."""
        return TargetWeights()


class ClassicalPolicy:
    """A rule behind the ``predict`` of stable-baselines3; it has no memory, so any day may follow any other.

    Args:
        rule: What to hold.
        history: The past of the days of the environment's tape.
    """

    def __init__(self, rule: Rule, history: History) -> None:
        self.rule, self.history = rule, history
        self.name, self.action = rule.name, rule.action

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action for a compact observation, or one row for each of a batch; the state is passed through.

        Raises:
            ValueError: The observation is not compact, or is of another number of assets.
        """
        day, account = compact(observation, len(self.history.assets))
        if account.ndim == 1:
            return self._act(int(day[0]), account), state
        return np.stack([self._act(int(one[0]), row) for one, row in zip(day, account, strict=True)]), state

    def _act(self, day: int, account: FloatArray) -> FloatArray:
        return self.rule.decide(self.history.at(day), account)


def compact(observation: Any, n_assets: int) -> tuple[AnyArray, FloatArray]:
    """Returns the day and the account of a compact observation, or of a batch of them.

    Raises:
        ValueError: The observation is not compact, or is of another number of assets.
    """
    if not isinstance(observation, dict) or set(observation) != {"day", "account"}:
        raise ValueError("classical policies look the day up: make the environment with observation='compact'")
    account = np.asarray(observation["account"], dtype=np.float64)
    if account.shape[-1] != 1 + n_assets:
        raise ValueError(f"account has {account.shape[-1]} weights, expected cash and the policy's {n_assets} assets")
    return np.asarray(observation["day"]), account


def all_cash(n_assets: int) -> FloatArray:
    """Returns weights ``[1 + N]`` of nothing but cash."""
    weights = np.zeros(1 + n_assets)
    weights[0] = 1.0
    return weights


def equal_weights(chosen: BoolArray) -> FloatArray:
    """Returns equal weights ``[1 + N]`` over the chosen assets; all cash where none is."""
    if not chosen.any():
        return all_cash(len(chosen))
    return np.concatenate([[0.0], chosen / chosen.sum()])


def leave_all(n_assets: int) -> FloatArray:
    """Returns the action ``[1 + N]`` that trades nothing."""
    return np.full(1 + n_assets, LEAVE)


def due(known: Past, account: FloatArray, every: int) -> bool:
    """Returns whether a rule that trades every `every` days trades today: on the day, or while it holds nothing."""
    return known.day % every == 0 or not (np.abs(account[1:]) > HELD).any()


def best_of(score: FloatArray, count: int) -> BoolArray:
    """Returns the `count` highest scores that are not NaN; of equal ones the first."""
    order = np.argsort(-score, kind="stable")[: max(count, 0)]  # NaN sorts last
    chosen = np.zeros(len(score), np.bool_)
    chosen[order] = True
    chosen &= ~np.isnan(score)
    return chosen
