"""One policy, one environment, the whole period: what came of it."""

from typing import Any, Protocol

import gymnasium
import numpy as np

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

    Args:
        policy: Decides after each close; sees what the environment shows and nothing else.
        env: A ``FactorGym/Portfolio-v0`` or ``FactorGym/SingleStock-v0`` environment; its state is lost.
        name: Name of the result; by default the policy's own ``name``, or its class.
        allow_truncated: Accept an episode that a wrapper cut short; the backtest then ends where the episode did.

    Raises:
        ValueError: The environment is another one, a wrapper plays several days in one step, or it ended the episode
            early and `allow_truncated` is false.
    """
    single = env.unwrapped
    if not isinstance(single, SingleEnv):
        raise ValueError(
            f"rollout: the environment is a {type(single).__name__}; make FactorGym/Portfolio-v0 or another"
        )
    tape, market = single.tape, single.market
    observation, info = env.reset(seed=0, options={"day": 0, "days": len(tape) - 1})
    state, begins, over = None, np.ones(1, np.bool_), False
    accounts, steps = [], [info]
    while not over:
        accounts.append(market.account[0])
        action, state = policy.predict(observation, state=state, episode_start=begins, deterministic=True)
        observation, _, terminated, truncated, info = env.step(action)
        steps.append(info)
        begins, over = np.zeros(1, np.bool_), terminated or truncated
    label = name if name is not None else getattr(policy, "name", type(policy).__name__)
    played, days = int(market.clock.day[0]), len(tape) - 1
    if played != len(steps) - 1:
        raise ValueError(f"rollout of '{label}': a wrapper played {played} days in {len(steps) - 1} steps; take it off")
    whole = bool(market.finished[0])  # the account's own end: the last day, or ruin
    if not whole and not allow_truncated:
        raise ValueError(
            f"rollout of '{label}': the episode ended after {played} of {days} days, on {tape.dates[played]}, without "
            "ruin; take off the wrapper that cut it (max_episode_steps), or pass allow_truncated=True"
        )
    return _backtest(label, tape, np.stack(accounts), steps, days if whole else played)


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
