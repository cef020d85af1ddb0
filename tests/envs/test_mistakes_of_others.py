"""Mistakes that other trading environments are known to make; each test is one that their code would fail."""

import math
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from agents.vec_env import MarketVecEnv
from envs import BatchMarket, Costs, Episodes, LongOnly, Position, Tape, Templates
from tests.envs.markets import messy_panel, panel_of, plain_panel, states_of

DOUBLING = panel_of([[50.0], [60.0], [100.0], [100.0]])


def stock(panel, fill="close", **kwargs):
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=Tape.from_panel(panel, fill=fill), **kwargs)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_the_reward_belongs_to_the_step_and_the_last_day_is_paid(fill):
    """STORM: the reward lags a step, and the profit of the last day is never paid."""
    panel = panel_of([[100.0], [100.0], [100.0], [150.0]])
    env = stock(panel, fill)
    rewards = [env.step(2)[1] for _ in range(3)]
    assert rewards == pytest.approx([0.0, 0.0, math.log(1.5)], abs=1e-15)


def test_the_info_of_a_step_is_of_one_moment():
    """STORM: the info mixes the value of one day with the price of the next."""
    panel = plain_panel(days=20, assets=1)
    env = stock(panel)
    env.step(2)
    for day in range(2, 20):
        info = env.step(1)[4]
        assert info["date"] == panel.dates[day]
        assert info["wealth"] == pytest.approx(panel["close"][day, 0] / panel["close"][0, 0], rel=1e-12)


def test_no_day_of_a_split_is_dropped():
    """STORM: the first 64 and the last 32 days of every split are silently left out."""
    panel = plain_panel(days=200, assets=2)
    tape = Tape.from_panel(panel, states_of(panel), start="2020-03-01", stop="2020-06-30", lookback=64)
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape)
    _, info = env.reset()
    assert info["date"] == np.datetime64("2020-03-01")
    dates, over = [info["date"]], False
    while not over:
        _, _, _, over, info = env.step(env.action_space.sample())
        dates.append(info["date"])
    assert dates == list(np.arange("2020-03-01", "2020-07-01", dtype="datetime64[D]"))


def test_reset_works_any_number_of_times_and_takes_a_seed():
    """STORM, FinRL, gym-trading-env: reset() crashes, takes no seed, or draws from the global generator."""
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=Tape.from_panel(plain_panel()), episode_days=5)
    state = np.random.get_state()[1].copy()
    dates = [env.reset(seed=3)[1]["date"] for _ in range(4)]
    assert len(set(dates)) == 1
    assert len({env.reset()[1]["date"] for _ in range(20)}) > 5
    assert np.array_equal(np.random.get_state()[1], state)


def test_the_fee_is_charged_and_a_higher_one_costs_more():
    """FinRL's portfolio: the cost parameter is never used. STORM: a higher cost improves losses."""
    falling = panel_of(np.linspace(100, 50, 20)[:, None])
    wealth = []
    for fee in (0.0, 1e-3, 1e-2):
        env = stock(falling, costs=Costs(fee_rate=fee))
        wealth.append([env.step(2 * (day % 2))[4]["wealth"] for day in range(19)][-1])
    assert wealth[0] > wealth[1] > wealth[2]


def test_the_cash_leg_costs_nothing():
    """TradeMaster, EarnMore: the fee is counted on the change of cash too."""
    env = stock(panel_of(np.full((4, 1), 50.0)), costs=Costs(fee_rate=0.01), action=Position())
    info = env.step(np.array([1.0]))[4]
    assert info["cost"] == pytest.approx(1 - 1 / 1.01, abs=1e-15)  # once the value bought, not twice


def test_buying_thirty_percent_costs_the_fee_and_not_thirty_percent():
    """EarnMore: the fee is left out of one side of the books, so that the money spent disappears."""
    env = stock(panel_of(np.full((4, 1), 50.0)), costs=Costs(fee_rate=1e-3), action=Position())
    info = env.step(np.array([-0.4]))[4]
    assert info["weights"][1] == pytest.approx(0.3, abs=1e-7)
    assert 1 - info["wealth"] == pytest.approx(1e-3 * 0.3, rel=1e-3)


def test_borrowing_accumulates():
    """gym-trading-env: the borrow interest of a day is assigned over that of the days before."""
    env = stock(panel_of(np.full((12, 1), 50.0)), costs=Costs(borrow_rate=0.01), action=Position(low=-1))
    wealth = [env.step(np.array([-1.0]))[4]["wealth"] for _ in range(10)]
    assert wealth == pytest.approx([0.99**k for k in range(1, 11)], rel=1e-12)


def test_a_short_at_a_flat_price_loses_nothing():
    """TradeMaster: opening a short position at a flat price loses a fifth of the wealth."""
    env = stock(panel_of(np.full((4, 1), 50.0)), action=Position(low=-1))
    assert [env.step(np.array([-1.0]))[4]["wealth"] for _ in range(3)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_holding_while_the_price_doubles_earns_log_two(fill):
    """gym-anytrading: buy and hold while the price doubles earns nothing, as profits count on sales alone."""
    panel = panel_of([[50.0], [50.0], [60.0], [100.0]])
    env = stock(panel, fill)
    total = sum(env.step(action)[1] for action in (2, 1, 1))
    assert total == pytest.approx(math.log(2), abs=1e-15)


def test_look_back_never_shows_the_episode_before():
    """gym-trading-env: windowed observations begin with rows of the previous episode."""
    tape = Tape.from_panel(plain_panel(days=60), lookback=5)
    used, fresh = (gymnasium.make("FactorGym/Portfolio-v0", tape=tape) for _ in range(2))
    used.reset(options={"day": 40})
    for _ in range(10):
        used.step(used.action_space.sample())
    a, b = used.reset(options={"day": 2})[0], fresh.reset(options={"day": 2})[0]
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_importing_leaves_the_warnings_of_the_process_alone():
    """gym-trading-env: importing it turns every warning of the process into an exception."""
    code = "import envs, warnings; warnings.warn('said and forgotten')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reward_is_a_change_and_the_last_one_is_paid_once():
    """FinRL: the reward is the level of the portfolio, and the last one is paid twice."""
    env = stock(DOUBLING)
    assert env.step(0)[1] == 0.0  # in cash nothing changes
    rewards = [env.step(2)[1], env.step(1)[1]]
    assert rewards == pytest.approx([math.log(100 / 60), 0.0], abs=1e-15)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(1)


def test_the_position_is_part_of_the_observation():
    """STORM, gym-anytrading: the agent cannot see what it holds."""
    env = stock(DOUBLING)
    assert env.step(2)[0]["account"].tolist() == [0.0, 1.0]
    portfolio = gymnasium.make("FactorGym/Portfolio-v0", tape=Tape.from_panel(plain_panel()), observation="compact")
    portfolio.reset()
    observation, *_ = portfolio.step(np.array([-20.0, -20.0, 20.0, -20.0], np.float32))
    assert observation["account"][2] == pytest.approx(1.0)


def test_actions_go_through_one_softmax_and_can_concentrate():
    """FinRL, TradeMaster: a second softmax, or one over [0, 1], keeps every weight near 1 / N."""
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=Tape.from_panel(plain_panel(assets=29)))
    env.reset()
    action = np.where(np.arange(30) == 7, env.action_space.high, env.action_space.low)
    assert env.step(action)[4]["weights"][7] > 0.999


def test_unequal_tickers_and_missing_bars_neither_crash_nor_survive():
    """The most frequent complaint elsewhere; assets that vanish are in the data, so none survives by luck."""
    panel = messy_panel(days=80, assets=6, seed=4, halts=0.3, absent=0.2, changes=True)
    market = BatchMarket(Tape.from_panel(panel, delisting_return=-0.3), 16, costs=Costs(1e-3), seed=0)
    market.reset()
    for action in np.random.default_rng(0).normal(0, 2, (79, 16, 7)):
        observation, reward, *_, info = market.step(action)
        assert np.isfinite(reward).all()
        assert all(np.isfinite(part).all() for part in observation.values())
        assert np.isfinite(info["weights"]).all()


def test_the_end_of_data_is_no_death():
    """Elsewhere the end of data terminates, so that values are not bootstrapped there."""
    env = MarketVecEnv(BatchMarket(Tape.from_panel(plain_panel(days=6)), 1, episodes=Episodes(2), action=Templates()))
    env.reset()
    env.step(np.array([2]))
    _, _, done, infos = env.step(np.array([0]))
    assert done[0]
    assert infos[0]["TimeLimit.truncated"]


def test_the_same_seed_takes_the_same_path():
    """A frequent complaint elsewhere: the same seed, different results."""
    tape = Tape.from_panel(plain_panel(days=60))

    def play():
        env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, episode_days=(5, 20), action=LongOnly())
        env.action_space.seed(1)
        env.reset(seed=1)
        return [env.step(env.action_space.sample())[1] for _ in range(5)]

    assert play() == play()
