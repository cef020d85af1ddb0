"""The stable-baselines3 face of the batch."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents.networks.extractors import FlatLookup, StateLookup, StateTable
from agents.vec_env import MarketVecEnv
from envs import BatchMarket, Costs, Episodes, LongOnly, LongShort, SellHoldBuy, Tape
from tests.envs.markets import messy_panel, panel_of, plain_panel, states_of


def messy() -> Tape:
    panel = messy_panel(days=40, assets=3, seed=1, halts=0.2, absent=0.1, changes=True)
    return Tape.from_panel(panel, states_of(panel))


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    return np.array_equal(one, other)


@pytest.mark.parametrize("observation", ["full", "flat", "compact"])
@pytest.mark.parametrize("action", [LongOnly(), LongShort()])
def test_it_equals_stable_baselines_own_vec_env_over_single_environments(action, observation):
    """DummyVecEnv over Monitor over the single environment, across many ends of episodes."""
    tape, costs = messy(), Costs(fee_rate=1e-3)
    kwargs = {"costs": costs, "action": action, "observation": observation}
    ours = MarketVecEnv(BatchMarket(tape, 4, episodes=Episodes((3, 9)), **kwargs))
    theirs = DummyVecEnv(
        [lambda: Monitor(gymnasium.make("FactorGym/Portfolio-v0", tape=tape, episode_days=(3, 9), **kwargs))] * 4
    )
    ours.seed(5), theirs.seed(5)
    assert same(ours.reset(), theirs.reset())
    generator = np.random.default_rng(0)
    ends = 0
    for _ in range(30):
        actions = generator.uniform(-1, 1, (4, *ours.action_space.shape)).astype(np.float32)
        a, b = ours.step(actions), theirs.step(actions)
        assert same(a[0], b[0])
        assert a[1].dtype == b[1].dtype
        assert np.array_equal(a[1], b[1])
        assert np.array_equal(a[2], b[2])
        for k in np.flatnonzero(a[2]):
            ends += 1
            assert same(a[3][k]["terminal_observation"], b[3][k]["terminal_observation"])
            assert a[3][k]["TimeLimit.truncated"] is b[3][k]["TimeLimit.truncated"] is True
            assert a[3][k]["episode"]["l"] == b[3][k]["episode"]["l"]
            assert a[3][k]["episode"]["r"] == pytest.approx(b[3][k]["episode"]["r"], abs=1e-6)
            assert a[3][k]["wealth"] == b[3][k]["wealth"]
    assert ends > 8


def test_ruin_is_no_time_limit_and_starts_anew():
    close = np.array([10.0, 10, 25, 25, 25, 25])[:, None]
    tape = Tape.from_panel(panel_of(close), fill="next_close")
    env = MarketVecEnv(BatchMarket(tape, 1, action=LongShort()))
    env.reset()
    assert not env.step(np.array([[-1.0]]))[2][0]
    observation, reward, done, infos = env.step(np.array([[-1.0]]))
    assert done[0]
    assert infos[0]["TimeLimit.truncated"] is False
    assert infos[0]["wealth"] == pytest.approx(1e-6)
    assert np.isfinite(reward[0])
    assert observation["account"].tolist() == [[1.0, 0.0]]


def test_options_and_attributes():
    env = MarketVecEnv(BatchMarket(Tape.from_panel(plain_panel()), 3, observation="compact"))
    env.set_options({"day": 7})
    assert env.reset()["day"][:, 0].tolist() == [7, 7, 7]
    assert env.reset()["day"][:, 0].tolist() == [0, 0, 0]
    assert env.get_attr("n_envs", [0, 1]) == [3, 3]
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    assert len(env.env_method("standing", np.arange(3), indices=0)) == 1
    with pytest.raises(AttributeError, match="shared by all episodes"):
        env.set_attr("costs", Costs())
    with pytest.raises(ValueError, match="options differ"):
        env.set_options([{"day": 1}, {"day": 2}, {"day": 1}])
    with pytest.raises(ValueError, match="without step_async"):
        env.step_wait()
    env.close()


def test_a_market_that_does_not_start_anew_is_refused():
    with pytest.raises(ValueError, match="autoreset=False"):
        MarketVecEnv(BatchMarket(Tape.from_panel(plain_panel()), 2, autoreset=False))


@pytest.mark.parametrize("observation", ["full", "flat"])
def test_stable_baselines_trains_on_it(observation):
    market = BatchMarket(messy(), 4, observation=observation, episodes=Episodes(8), seed=0)
    policy = "MlpPolicy" if observation == "flat" else "MultiInputPolicy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PPO(policy, MarketVecEnv(market), n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
        model.learn(128)
    assert len(model.ep_info_buffer) >= 12


def test_stable_baselines_trains_on_one_stock():
    market = BatchMarket(messy().only("A0"), 2, action=SellHoldBuy(), seed=0, one_asset=True)
    PPO("MultiInputPolicy", MarketVecEnv(market), n_steps=8, batch_size=16, n_epochs=1, device="cpu").learn(32)


def test_a_day_that_something_has_scaled_is_not_looked_up():
    """VecNormalize over compact observations would train on rows 0 and 1 of the table."""
    tape = messy()
    venv = MarketVecEnv(BatchMarket(tape, 4, episodes=Episodes((3, 9)), observation="compact", seed=0))
    table = StateTable(tape)
    for lookup in (StateLookup, FlatLookup):
        plain, scaled = lookup(venv.observation_space, table), VecNormalize(venv)
        seen = [scaled.reset(), *(scaled.step(np.zeros((4, 4), np.float32))[0] for _ in range(3))]
        for observation in seen[1:]:
            with pytest.raises(ValueError, match=r"not a row of the states.*norm_obs_keys=\['account'\]"):
                plain({name: torch.as_tensor(part).float() for name, part in observation.items()})
        allowed = VecNormalize(venv, norm_obs_keys=["account"])
        plain({name: torch.as_tensor(part).float() for name, part in allowed.reset().items()})


def test_every_step_tells_wealth_turnover_and_cost() -> None:
    market = BatchMarket(Tape.from_panel(plain_panel()), 3, costs=Costs(fee_rate=1e-2))
    env = MarketVecEnv(market)
    env.reset()
    *_, infos = env.step(np.full((3, market.action_space.shape[0]), 1.0, np.float32))
    assert [one["wealth"] for one in infos] == market.wealth.tolist()
    assert all(one["turnover"] > 0 and one["cost"] > 0 for one in infos)


def test_maskable_ppo_never_sells_what_it_does_not_hold() -> None:
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    market = BatchMarket(
        Tape.from_panel(plain_panel()).only("A0"), 4, action=SellHoldBuy(), observation="flat", one_asset=True
    )
    env = MarketVecEnv(market)
    assert is_masking_supported(env)
    model = MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0, device="cpu").learn(64)
    observation = env.reset()
    for _ in range(10):
        masks = get_action_masks(env)
        assert masks.shape == (4, 3)
        actions, _ = model.predict(observation, action_masks=masks)
        assert masks[np.arange(4), actions].all()
        observation, *_ = env.step(actions)


def test_episodes_can_be_filmed_as_those_of_stable_baselines() -> None:
    """`render` tiles an image an episode, which VecVideoRecorder writes; an episode that ends begins a new picture."""
    tape = Tape.from_panel(plain_panel(days=30, assets=3))
    env = MarketVecEnv(BatchMarket(tape, 2, episodes=Episodes(3), seed=0), render_mode="rgb_array")
    assert env.render_mode == "rgb_array"
    env.reset()
    alone = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, episode_days=3, render_mode="rgb_array")
    alone.reset(seed=0)
    actions = np.random.default_rng(0).normal(size=(5, 2, 4)).astype(np.float32)
    for step, action in enumerate(actions):
        assert np.array_equal(env.get_images()[0], alone.render())
        env.step(action)
        *_, truncated, _ = alone.step(action[0])
        if truncated:
            assert step == 2
            alone.reset()
    assert env.render().shape == (960, 640, 3)
    with pytest.raises(ValueError, match="render_mode is 'human', expected None or 'rgb_array'"):
        MarketVecEnv(BatchMarket(tape, 2), render_mode="human")
    assert "3 assets, 30 days" in repr(env)
