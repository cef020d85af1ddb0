"""Agents learn what can be known and nothing else, on days that neither learning nor choosing has seen."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from agents.algorithms.on_policy import PPO, SAC
from agents.baselines.base import ClassicalPolicy
from agents.baselines.simple import EqualWeight
from agents.checkpoint import load_agent
from agents.history import History
from agents.training.callbacks import TrainingConfig
from agents.training.loop import Task, train_agent
from envs import Costs, LogGrowth, LongOnly, SellHoldBuy, Tape
from evaluation.backtest import Backtest
from evaluation.rollout import rollout
from evaluation.significance import Comparison, compare
from pipeline.control_markets import shuffle_states
from tests.agents.planted import planted

LEARNER = PPO(n_steps=16, batch_size=1024, n_epochs=4, learning_rate=3e-3, gamma=0.9)
REPLAYER = SAC(learning_starts=400, batch_size=64, gradient_steps=2, learning_rate=3e-3, gamma=0.9)
COSTS = Costs(fee_rate=5e-4)
PARTS = ((0, 249), (250, 339), (340, 459))  # train, valid, test
PANEL, STATES = planted(days=460, assets=5, seed=0)


def tapes() -> list[Tape]:
    dates = PANEL.dates.astype(str)
    return [Tape.from_panel(PANEL, STATES, "close", dates[first], dates[last]) for first, last in PARTS]


def mean_log(returns: np.ndarray) -> float:
    return float(np.log1p(returns).mean())


def against_equal_weight(agent, parts: list[Tape], steps: int, n_envs: int, folder: Path) -> Comparison:
    """Trains on the first tape, chooses on the second, and compares with equal weights on the third."""
    train, valid, test = parts
    task = Task(train, valid, LongOnly(bound=1, scale=5), LogGrowth(), COSTS, 60, n_envs, True)
    train_agent(agent, task, TrainingConfig(steps, steps // 4, None), 0, folder, {})
    rule = ClassicalPolicy(EqualWeight(), History.of(test, PANEL, None))

    def traded(policy, action) -> Backtest:
        env = gymnasium.make("FactorGym/Portfolio-v0", tape=test, costs=COSTS, action=action, observation="compact")
        return rollout(policy(env.unwrapped.market), env)

    ours = traded(lambda market: load_agent(folder, agent, market), task.action)
    theirs = traded(lambda _: rule, rule.action)
    return compare(ours.returns, theirs.returns, mean_log, n_draws=500)


@pytest.mark.parametrize(("agent", "steps", "n_envs"), [(LEARNER, 32_768, 64), (REPLAYER, 4_000, 16)])
def test_a_planted_signal_is_found_and_beats_equal_weight(agent, steps, n_envs, tmp_path: Path) -> None:
    result = against_equal_weight(agent, tapes(), steps, n_envs, tmp_path)
    assert result.interval is not None
    assert result.interval[0] > 1e-3  # a tenth of a percent a day, after costs


def test_shuffled_states_are_worth_nothing(tmp_path: Path) -> None:
    """The negative control: the same prices, the same states, on other days."""
    parts = [shuffle_states(tape, seed) for seed, tape in enumerate(tapes())]
    result = against_equal_weight(LEARNER, parts, 32_768, 64, tmp_path)
    assert result.interval is not None
    assert result.interval[0] < 0
    assert result.difference is not None
    assert result.difference < 1e-3


def test_a_single_stock_is_timed(tmp_path: Path) -> None:
    train, valid, test = (tape.only("A0") for tape in tapes())
    task = Task(train, valid, SellHoldBuy(), LogGrowth(), COSTS, 60, 64, False)
    train_agent(LEARNER, task, TrainingConfig(32_768, 8_192, None), 0, tmp_path, {})
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=test, costs=COSTS, action=SellHoldBuy())
    growth = np.log1p(rollout(load_agent(tmp_path, LEARNER, env.unwrapped.market), env).returns)
    held = np.log1p(test.benchmark[:-1])
    assert growth.sum() > held.sum() + 0.2
