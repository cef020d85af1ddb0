"""One policy, one environment, the whole period: what came of it."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.batch import BatchMarket
from envs.env import SingleEnv
from envs.tape import Tape
from evaluation.backtest import Backtest
from market.arrays import AnyArray, FloatArray


class Policy(Protocol):
    """Whatever decides: a trained agent of stable-baselines3 or a classical policy."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[AnyArray, Any]:
        """Returns the action for an observation and the memory to pass in with the next one."""
        ...


def rollout(
    policy: Policy, env: gymnasium.Env[Any, Any], name: str | None = None, allow_truncated: bool = False
) -> Backtest:
    """Replays the environment's whole tape with the deterministic actions of `policy` and returns what came of it.

    The product of ``1 + returns`` is the account's final wealth, and one row stands for each day of the tape but the
    first. An account that is ruined stays as it is until the end. Wrappers around the environment are kept, but one
    that ends the episode before the tape does is refused: the days that were not played would be invented.

    An agent of stable-baselines3 is asked as it was trained. Where it has a `VecNormalize`, it sees observations in
    that scale, whose moments stay as they are; where its `predict` takes ``action_masks``, it gets them.

    Args:
        policy: Decides after each close; sees what the environment shows and nothing else.
        env: A ``FactorGym/Portfolio-v0`` or ``FactorGym/SingleStock-v0`` environment; its state is lost.
        name: Name of the result; by default the policy's own ``name``, or its class.
        allow_truncated: Accept an episode that a wrapper cut short; the backtest then ends where the episode did.

    Raises:
        ValueError: The environment is another one, or takes other actions than the policy; a wrapper plays several
            days in one step, or ended the episode early and `allow_truncated` is false.
    """
    single = env.unwrapped
    if not isinstance(single, SingleEnv):
        raise ValueError(
            f"rollout: the environment is a {type(single).__name__}; make FactorGym/Portfolio-v0 or another"
        )
    label = name if name is not None else getattr(policy, "name", type(policy).__name__)
    ask = _asking(policy, single, env.action_space, label)
    tape, market = single.tape, single.market
    observation, info = env.reset(seed=0, options={"day": 0, "days": len(tape) - 1})
    state, begins, over = None, np.ones(1, np.bool_), False
    accounts, steps = [], [info]
    while not over:
        accounts.append(market.account[0])
        action, state = ask(observation, state, begins)
        observation, _, terminated, truncated, info = env.step(action)
        steps.append(info)
        begins, over = np.zeros(1, np.bool_), terminated or truncated
    days = _days_played(label, market, len(steps) - 1, allow_truncated)
    return _backtest(label, tape, np.stack(accounts), steps, days)


def benchmark_backtest(tape: Tape, name: str = "benchmark") -> Backtest:
    """Returns the path of the tape's benchmark over the days of a rollout, as if it were an asset held throughout."""
    days = len(tape) - 1
    nothing, held = np.zeros(days), np.tile([0.0, 1.0], (days, 1))
    returns = np.array(tape.benchmark[:-1])
    profits = returns * np.concatenate([[1.0], np.cumprod(1 + returns)[:-1]])
    return Backtest(
        name=name,
        assets=(name,),
        dates=tape.dates[1:],
        periods_per_year=tape.periods_per_year,
        returns=returns,
        weights=held,
        turnover=nothing,
        costs=nothing,
        trades=nothing[:, None],
        profits=profits[:, None],
    )


def _days_played(label: str, market: BatchMarket, steps: int, allow_truncated: bool) -> int:
    """Returns the days of the backtest: all, also after ruin, or those of an episode that may be cut short."""
    played, days = int(market.clock.day[0]), len(market.tape) - 1
    if played != steps:
        raise ValueError(f"rollout of '{label}': a wrapper played {played} days in {steps} steps; take it off")
    whole = bool(market.finished[0])  # the account's own end: the last day, or ruin
    if not whole and not allow_truncated:
        raise ValueError(
            f"rollout of '{label}': the episode ended after {played} of {days} days, on "
            f"{market.tape.dates[played]}, without ruin; take off the wrapper that cut it (max_episode_steps), or pass "
            "allow_truncated=True"
        )
    return days if whole else played


def _asking(
    policy: Policy, env: SingleEnv, space: spaces.Space[Any], label: str
) -> Callable[[Any, Any, AnyArray], tuple[AnyArray, Any]]:
    """Returns what asks `policy` for an action as it was trained: scaled observations, and masks of its choices."""
    learnt = getattr(policy, "action_space", None)
    if isinstance(learnt, spaces.Space) and not _alike(learnt, space):
        raise ValueError(
            f"rollout of '{label}': it acts in {learnt}, but the environment takes {space}; give both the same action="
        )
    find = getattr(policy, "get_vec_normalize_env", None)
    scaler = None if find is None else find()
    masked = isinstance(space, spaces.Discrete) and "action_masks" in inspect.signature(policy.predict).parameters

    def ask(observation: Any, state: Any, begins: AnyArray) -> tuple[AnyArray, Any]:
        seen = observation if scaler is None else scaler.normalize_obs(observation)
        masks: dict[str, Any] = {"action_masks": env.action_masks()} if masked else {}
        return policy.predict(seen, state=state, episode_start=begins, deterministic=True, **masks)

    return ask


def _alike(one: spaces.Space[Any], other: spaces.Space[Any]) -> bool:
    """Returns whether two spaces hold the same actions, in whatever precision."""
    if isinstance(one, spaces.Box) and isinstance(other, spaces.Box):
        same = one.shape == other.shape and np.allclose(one.low, other.low) and np.allclose(one.high, other.high)
        return bool(same)
    return bool(one == other)


def _backtest(name: str, tape: Tape, accounts: FloatArray, steps: list[dict[str, Any]], length: int) -> Backtest:
    """Puts the infos of the reset and of each step side by side; days after ruin are added with nothing in them."""
    days, past = len(steps) - 1, length + 1 - len(steps)
    wealth = np.array([info["wealth"] for info in steps])
    trades = np.stack([info["trades"] for info in steps[1:]])
    weights = np.stack([info["weights"] for info in steps[1:]])
    start = wealth[:-1, None] * accounts[:, 1:]  # [T, N], values at the close before
    before, after = tape.before[:days], tape.after[:days]
    profits = start * before + (start * (1 + before) + trades) * after
    idle = np.zeros((past, tape.n_assets))
    cash = np.concatenate([np.ones((past, 1)), idle], axis=1)
    nothing = np.zeros(past)
    return Backtest(
        name=name,
        assets=tape.assets,
        dates=tape.dates[1 : length + 1],
        periods_per_year=tape.periods_per_year,
        returns=np.concatenate([wealth[1:] / wealth[:-1] - 1, nothing]),
        weights=np.concatenate([weights, cash]),
        turnover=np.concatenate([[info["turnover"] for info in steps[1:]], nothing]),
        costs=np.concatenate([[info["cost"] for info in steps[1:]], nothing]),
        trades=np.concatenate([trades, idle]),
        profits=np.concatenate([profits, idle]),
    )
