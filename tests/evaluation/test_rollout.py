import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecNormalize

import envs  # noqa: F401 - registers the environments
from agents import MarketVecEnv
from envs import BatchMarket, Costs, LongOnly, LongShort, Tape
from evaluation.performance import performance
from evaluation.rollout import benchmark_backtest, rollout
from tests.envs.markets import messy_panel, panel_of, plain_panel

FEE = Costs(fee_rate=2e-3)


class Scripted:
    """Plays its actions in order and notes what it was told."""

    def __init__(self, actions):
        self.actions, self.starts, self.deterministic = list(actions), [], True

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.starts.append(bool(episode_start[0]))
        self.deterministic &= deterministic
        step = 0 if state is None else state
        return self.actions[step], step + 1


def portfolio(tape, **arguments):
    return gymnasium.make("FactorGym/Portfolio-v0", tape=tape, costs=FEE, **arguments)


def random_logits(tape, seed=1):
    return np.random.default_rng(seed).normal(0, 2, (len(tape) - 1, 1 + tape.n_assets)).astype(np.float32)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_the_backtest_is_what_the_environment_did(fill):
    tape = Tape.from_panel(messy_panel(50, 5, seed=3, halts=0.2, absent=0.1, changes=True), fill=fill)
    logits, infos = random_logits(tape), []
    env = portfolio(tape)
    env.reset(seed=0)
    for action in logits:
        infos.append(env.step(action)[-1])
    policy = Scripted(logits)
    backtest = rollout(policy, portfolio(tape), name="scripted")
    assert (backtest.name, backtest.assets) == ("scripted", tape.assets)
    np.testing.assert_array_equal(backtest.dates, tape.dates[1:])
    np.testing.assert_array_equal(backtest.dates, [info["date"] for info in infos])
    np.testing.assert_allclose(backtest.wealth[1:], [info["wealth"] for info in infos], rtol=1e-13)
    for label, key in (("weights", "weights"), ("turnover", "turnover"), ("costs", "cost"), ("trades", "trades")):
        np.testing.assert_array_equal(getattr(backtest, label), [info[key] for info in infos])
    assert policy.starts == [True] + [False] * 48
    assert policy.deterministic


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("seed", range(4))
def test_every_unit_of_wealth_is_accounted_for(fill, seed):
    panel = messy_panel(60, 6, seed, halts=0.15, absent=0.05, changes=True)
    tape = Tape.from_panel(panel, fill=fill, delisting_return=-0.3)
    backtest = rollout(Scripted(random_logits(tape, seed)), portfolio(tape))
    change = np.diff(backtest.wealth)
    np.testing.assert_allclose(backtest.profits.sum(axis=1) - backtest.costs, change, atol=1e-12)
    assert backtest.holdings()["profit"].sum() == pytest.approx(backtest.wealth[-1] - 1, abs=1e-12)
    assert performance(backtest)["final_wealth"] == pytest.approx(backtest.wealth[-1], rel=1e-12)


def test_short_positions_are_accounted_for():
    tape = Tape.from_panel(plain_panel(40, 4))
    actions = np.random.default_rng(0).uniform(-1, 1, (39, 4)).astype(np.float32)
    backtest = rollout(Scripted(actions), portfolio(tape, action=LongShort(gross=1.5)))
    np.testing.assert_allclose(backtest.profits.sum(axis=1) - backtest.costs, np.diff(backtest.wealth), atol=1e-12)
    assert (backtest.weights[:, 1:] < 0).any()


def test_the_whole_period_whatever_the_episodes_of_training():
    tape = Tape.from_panel(plain_panel(30, 2))
    logits = random_logits(tape)
    whole = rollout(Scripted(logits), portfolio(tape))
    short = rollout(Scripted(logits), portfolio(tape, episode_days=(3, 5)))
    np.testing.assert_array_equal(short.returns, whole.returns)
    assert len(whole) == 29


def test_an_initial_position_is_accounted_for():
    tape = Tape.from_panel(plain_panel(30, 2))
    sold = np.tile([20.0, -20, -20], (29, 1)).astype(np.float32)
    backtest = rollout(Scripted(sold), portfolio(tape, initial_weights=[0.0, 0.5, 0.5]))
    np.testing.assert_allclose(backtest.profits.sum(axis=1) - backtest.costs, np.diff(backtest.wealth), atol=1e-12)
    assert backtest.trades[0].max() < -0.4


def test_single_stock_and_compact_observations():
    tape = Tape.from_panel(plain_panel(30, 3))
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=tape, asset="A1", costs=FEE, observation="compact")
    backtest = rollout(Scripted([2] + [1] * 28), env)
    close = plain_panel(30, 3)["close"][:, 1]
    opened = plain_panel(30, 3)["open"][1, 1]
    assert backtest.assets == ("A1",)
    assert backtest.wealth[-1] == pytest.approx(close[-1] / opened / (1 + 2e-3), rel=1e-12)
    assert performance(backtest)["n_trades"] == 1
    assert performance(backtest)["average_holding_days"] == 29


def test_a_ruined_account_stays_as_it_is():
    prices = np.array([[1.0], [1.0], [3.0], [3.0], [3.0], [1.0]])
    tape = Tape.from_panel(panel_of(prices), fill="close")
    backtest = rollout(Scripted([np.array([-1.0], np.float32)] * 5), portfolio(tape, action=LongShort()))
    assert len(backtest) == 5
    np.testing.assert_array_equal(backtest.returns[2:], 0)
    np.testing.assert_array_equal(backtest.weights[1:], [[1, 0]] * 4)
    assert backtest.wealth[-1] < 1e-5
    assert performance(backtest)["max_drawdown"] == pytest.approx(-1, abs=1e-5)


def test_names():
    tape = Tape.from_panel(plain_panel(10, 2))
    policy = Scripted(random_logits(tape))
    assert rollout(policy, portfolio(tape)).name == "Scripted"
    policy.name = "mine"
    assert rollout(policy, portfolio(tape)).name == "mine"


def test_the_benchmark_is_the_equal_weighted_mean():
    panel = plain_panel(30, 3)
    tape = Tape.from_panel(panel, start="2020-01-05")
    backtest = benchmark_backtest(tape)
    close = panel["close"][4:]
    np.testing.assert_allclose(backtest.returns, (close[1:] / close[:-1] - 1).mean(axis=1), atol=1e-14)
    np.testing.assert_array_equal(backtest.dates, rollout(Scripted(random_logits(tape)), portfolio(tape)).dates)
    np.testing.assert_allclose(backtest.profits[:, 0], np.diff(backtest.wealth), atol=1e-14)
    assert performance(backtest)["turnover"] == 0


def test_another_environment_is_refused():
    with pytest.raises(ValueError, match="the environment is a CartPoleEnv"):
        rollout(Scripted([0]), gymnasium.make("CartPole-v1"))


class Held:
    """Holds everything, whatever it sees."""

    name = "held"

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros(3, np.float32), state


@pytest.mark.parametrize("limit", [1, 10, 28])
def test_a_cut_episode_is_no_backtest_unless_asked_for(limit):
    tape = Tape.from_panel(plain_panel(30, 2))
    with pytest.raises(ValueError, match=rf"rollout of 'held': the episode ended after {limit} of 29 days"):
        rollout(Held(), portfolio(tape, max_episode_steps=limit))
    cut = rollout(Held(), portfolio(tape, max_episode_steps=limit), allow_truncated=True)
    whole = rollout(Held(), portfolio(tape))
    assert len(cut) == limit
    np.testing.assert_array_equal(cut.returns, whole.returns[:limit])
    np.testing.assert_array_equal(cut.dates, whole.dates[:limit])


def test_a_limit_beyond_the_tape_cuts_nothing():
    tape = Tape.from_panel(plain_panel(30, 2))
    for limit in (29, 100):
        assert len(rollout(Held(), portfolio(tape, max_episode_steps=limit))) == 29


def test_a_wrapper_that_plays_several_days_a_step_is_refused():
    class TwoDays(gymnasium.Wrapper):
        def step(self, action):
            self.env.step(action)
            return self.env.step(action)

    tape = Tape.from_panel(plain_panel(31, 2))
    with pytest.raises(ValueError, match="played 30 days in 15 steps"):
        rollout(Held(), TwoDays(portfolio(tape)))


@pytest.mark.parametrize("observation", ["flat", "full"])
def test_an_agent_that_learnt_under_vecnormalize_sees_what_it_learnt_on(observation):
    tape = Tape.from_panel(plain_panel(30, 2))
    scaler = VecNormalize(MarketVecEnv(BatchMarket(tape, 4, FEE, observation=observation, seed=0)))
    scaler.reset()
    for _ in range(20):
        scaler.step(np.zeros((4, 3), np.float32))

    class Learnt(Held):
        def __init__(self):
            self.seen = []

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            self.seen.append(observation)
            return super().predict(observation)

        def get_vec_normalize_env(self):
            return scaler

    learnt, env = Learnt(), portfolio(tape, observation=observation)
    count = scaler.obs_rms.count if observation == "flat" else scaler.obs_rms["assets"].count
    rollout(learnt, env)
    shown = env.reset(options={"day": 0})[0]
    part = (lambda seen: seen) if observation == "flat" else (lambda seen: seen["assets"])
    np.testing.assert_array_equal(part(learnt.seen[0]), part(scaler.normalize_obs(shown)))
    assert np.abs(part(learnt.seen[0]) - part(shown)).max() > 0.1
    after = scaler.obs_rms.count if observation == "flat" else scaler.obs_rms["assets"].count
    assert after == count, "test days must not move the moments"


def test_an_agent_that_takes_masks_gets_them():
    tape = Tape.from_panel(plain_panel(30, 2))

    class Masked:
        def __init__(self):
            self.masks = []

        def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
            self.masks.append(None if action_masks is None else action_masks.tolist())
            return 2, state

    masked, boxed = Masked(), Masked()
    rollout(masked, gymnasium.make("FactorGym/SingleStock-v0", tape=tape, asset="A1", costs=FEE))
    assert masked.masks == [[False, True, True]] + [[True, True, False]] * 28
    boxed.predict = lambda observation, state=None, episode_start=None, deterministic=False, action_masks=None: (
        boxed.masks.append(action_masks) or np.zeros(3, np.float32),
        state,
    )
    rollout(boxed, portfolio(tape))
    assert boxed.masks == [None] * 29, "a box has no masks"


def test_an_agent_of_another_action_is_refused():
    tape = Tape.from_panel(plain_panel(30, 2))
    agent = Held()
    agent.action_space = LongOnly(bound=1, scale=5).space(2)
    with pytest.raises(
        ValueError, match=r"'held': it acts in Box\(-1.0, 1.0, .*, but the environment takes Box\(-20.0"
    ):
        rollout(agent, portfolio(tape))
    assert len(rollout(agent, portfolio(tape, action=LongOnly(bound=1, scale=5)))) == 29
