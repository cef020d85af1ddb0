"""Each reward against its own definition, computed the long way from the infos."""

import math

import gymnasium
import numpy as np
import pytest

from envs import (
    BatchMarket,
    Costs,
    DifferentialSharpe,
    DrawdownPenalty,
    Episodes,
    ExcessGrowth,
    LogGrowth,
    SimpleReturn,
    Tape,
    TurnoverPenalty,
)
from envs.rewards import StepResult
from tests.envs.markets import messy_panel, panel_of, plain_panel

TAPE = Tape.from_panel(plain_panel(days=60, assets=3))
ACTIONS = np.random.default_rng(0).normal(0, 2, (59, 4)).astype(np.float32)
ALL = (
    LogGrowth(),
    SimpleReturn(),
    ExcessGrowth(),
    DifferentialSharpe(),
    DrawdownPenalty(),
    TurnoverPenalty(DrawdownPenalty(DifferentialSharpe())),
)


def played(reward) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Rewards, wealth from the first day on, and infos."""
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, costs=Costs(1e-3), reward=reward, observation="compact")
    env.reset(seed=0)
    steps = [env.step(action) for action in ACTIONS]
    wealth = np.array([1.0, *(info["wealth"] for *_, info in steps)])
    return np.array([reward for _, reward, *_ in steps]), wealth, [info for *_, info in steps]


def test_log_growth_sums_to_the_log_of_final_wealth():
    rewards, wealth, _ = played(LogGrowth())
    assert rewards.sum() == pytest.approx(math.log(wealth[-1]), abs=1e-13)
    assert rewards == pytest.approx(np.diff(np.log(wealth)), abs=1e-13)


def test_log_growth_adds_up_on_a_messy_path_too():
    panel = messy_panel(days=60, assets=4, seed=9, halts=0.2, absent=0.1, changes=True)
    market = BatchMarket(Tape.from_panel(panel, delisting_return=-0.3), 8, costs=Costs(0.01, impact=0.3), seed=0)
    market.reset()
    total = np.zeros(8)
    for action in np.random.default_rng(1).normal(0, 3, (59, 8, 5)):
        _, reward, _, _, info = market.step(action)
        total += reward
    assert total == pytest.approx(np.log(info["wealth"]), abs=1e-12)


def test_simple_and_excess_returns():
    rewards, wealth, _ = played(SimpleReturn())
    assert rewards == pytest.approx(wealth[1:] / wealth[:-1] - 1, abs=1e-14)
    rewards, wealth, _ = played(ExcessGrowth())
    assert rewards == pytest.approx(np.diff(np.log(wealth)) - np.log1p(TAPE.benchmark[:-1]), abs=1e-13)


def test_the_differential_sharpe_ratio_is_the_derivative_of_the_ratio():
    """Moody and Saffell: the Sharpe ratio of the moving averages grows by eta times the reward, to first order."""
    decay = 1e-6
    returns = np.random.default_rng(3).normal(1e-3, 0.01, 200)
    mean, square = returns[:100].mean(), (returns[:100] ** 2).mean()
    reward = DifferentialSharpe(decay)
    memory = np.array([[mean, square]])
    for r in returns[100:]:
        before = memory.copy()
        told = reward(outcome(r), memory)[0]
        ratio = [m / math.sqrt(s - m * m) for m, s in (before[0], memory[0])]
        assert (ratio[1] - ratio[0]) / decay == pytest.approx(told, rel=1e-3, abs=1e-4)


def test_the_differential_sharpe_ratio_follows_its_recursion():
    rewards, wealth, _ = played(DifferentialSharpe(0.05))
    a = b = 0.0
    for told, r in zip(rewards, wealth[1:] / wealth[:-1] - 1, strict=True):
        variance = b - a * a
        da, db = r - a, r * r - b
        assert told == pytest.approx((b * da - a * db / 2) / variance**1.5 if variance > 1e-12 else 0.0, rel=1e-9)
        a, b = a + 0.05 * da, b + 0.05 * db


def outcome(growth: float):
    g = np.array([1.0 + growth])
    return StepResult(np.log(g), g, np.zeros(1), np.ones(1), np.zeros(1))


def test_penalties_are_taken_off_another_reward():
    base, wealth, infos = played(LogGrowth())
    rewards, _, _ = played(TurnoverPenalty(LogGrowth(), 0.02))
    assert rewards == pytest.approx(base - 0.02 * np.array([info["turnover"] for info in infos]), abs=1e-15)
    rewards, _, _ = played(DrawdownPenalty(LogGrowth(), 0.3))
    drawdown = 1 - wealth / np.maximum.accumulate(wealth)
    assert rewards == pytest.approx(base - 0.3 * drawdown[1:], abs=1e-14)
    assert drawdown.max() > 0.01


@pytest.mark.parametrize("reward", ALL)
def test_memory_starts_afresh_with_every_episode_of_a_batch(reward):
    market = BatchMarket(TAPE, 3, reward=reward, episodes=Episodes((2, 5)), seed=0)
    market.reset()
    starts = market.clock.start.copy()
    for action in ACTIONS:
        start, length = market.clock.start.copy(), market.clock.day - market.clock.start
        told = market.step(np.tile(action, (3, 1)))[1]
        for k in np.flatnonzero(length == 0):
            fresh = BatchMarket(TAPE, 1, reward=reward)
            fresh.reset(options={"day": int(start[k])})
            assert fresh.step(action[None])[1][0] == told[k]
        starts = np.concatenate([starts, market.clock.start])
    assert len(set(starts)) > 10


def test_rewards_are_finite_at_ruin():
    tape = Tape.from_panel(panel_of([[10.0], [0.001], [10.0], [10.0]]))
    for reward in ALL:
        market = BatchMarket(tape, reward=reward)
        market.reset()
        assert np.isfinite(market.step([[20.0, -20.0]])[1]).all()
        assert np.isfinite(market.step([[-20.0, 20.0]])[1]).all()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: DifferentialSharpe(0.0), "decay is 0.0"),
        (lambda: DrawdownPenalty(weight=-1.0), "DrawdownPenalty: weight is -1.0"),
        (lambda: TurnoverPenalty(weight=math.nan), "TurnoverPenalty: weight is nan"),
    ],
)
def test_impossible_rewards_are_refused(build, said):
    with pytest.raises(ValueError, match=said):
        build()
