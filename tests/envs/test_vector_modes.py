"""What Gymnasium users do with vector environments: ways to start anew, limits, pictures, JSON, own parts."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import FlattenObservation, NormalizeObservation

import envs
from envs import Costs, LongOnly, LongShort, SellHoldBuy, Step, Tape, Templates, TurnoverPenalty
from tests.envs.markets import plain_panel

TAPE = Tape.from_panel(plain_panel(days=30, assets=3))
ID = "FactorGym/Portfolio-v0"
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return np.array_equal(one, other)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_equals_gymnasiums_own_vector_of_single_environments(mode) -> None:
    kwargs = {"tape": TAPE, "costs": Costs(fee_rate=1e-3), "episode_days": (1, 4)}
    ours = gymnasium.make_vec(ID, 5, autoreset_mode=mode, **kwargs)
    theirs = SyncVectorEnv([lambda: gymnasium.make(ID, **kwargs)] * 5, autoreset_mode=mode)
    assert same(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    theirs.action_space.seed(0)
    ended = 0
    for _ in range(25):
        actions = theirs.action_space.sample()
        got, wanted = ours.step(actions), theirs.step(actions)
        assert same(got[0], wanted[0])
        for k in (1, 2, 3):
            np.testing.assert_array_equal(got[k], wanted[k])
        np.testing.assert_array_equal(got[4]["wealth"], wanted[4]["wealth"])
        ended += int((got[2] | got[3]).sum())
    assert ended > 10


def test_without_automatic_starts_a_mask_says_who_begins() -> None:
    env = gymnasium.make_vec(ID, 3, tape=TAPE, episode_days=2, autoreset_mode="DISABLED", observation="compact")
    env.reset(seed=0)
    actions = np.zeros((3, 4), np.float32)
    env.step(actions)
    *_, truncated, info = env.step(actions)
    assert truncated.all()
    assert "final_obs" not in info
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(actions)
    before = env.unwrapped.market.clock.day.copy()
    mask = np.array([True, False, True])
    observation, info = env.reset(options={"reset_mask": mask})
    assert (observation["day"][~mask, 0] == before[~mask]).all()
    np.testing.assert_array_equal(info["_wealth"], mask)
    np.testing.assert_array_equal(env.unwrapped.market.finished, ~mask)
    with pytest.raises(ValueError, match="reset_mask has shape"):
        env.reset(options={"reset_mask": np.zeros(3, bool)})


def test_gymnasiums_vector_wrappers_of_observations_work_in_next_step_mode() -> None:
    env = gymnasium.make_vec(ID, 4, tape=TAPE, episode_days=3, autoreset_mode="NEXT_STEP")
    env = NormalizeObservation(FlattenObservation(env))
    observation, _ = env.reset(seed=0)
    for _ in range(12):
        observation, *_ = env.step(env.action_space.sample())
    assert np.isfinite(observation).all()


def test_a_limit_of_steps_truncates_as_gymnasium_does() -> None:
    env = gymnasium.make_vec(ID, 2, tape=TAPE, max_episode_steps=3)
    single = gymnasium.make(ID, tape=TAPE, max_episode_steps=3)
    env.reset(seed=0)
    single.reset(seed=0)
    for step in range(1, 7):
        action = np.zeros(4, np.float32)
        *_, terminated, truncated, _ = env.step(np.stack([action, action]))
        *_, over, _ = single.step(action)
        assert truncated.tolist() == [over, over] == [step % 3 == 0] * 2
        assert not terminated.any()
        if over:
            single.reset()
    with pytest.raises(ValueError, match="max_episode_steps is 0"):
        gymnasium.make_vec(ID, 2, tape=TAPE, max_episode_steps=0)


@pytest.mark.parametrize("mode", [*MODES, AutoresetMode.DISABLED])
def test_every_episode_has_a_picture(mode) -> None:
    env = gymnasium.make_vec(ID, 2, tape=TAPE, render_mode="rgb_array", episode_days=5, autoreset_mode=mode)
    env.reset(seed=0)
    first = env.render()
    assert [image.shape for image in first] == [(480, 640, 3)] * 2
    for _ in range(3):
        env.step(env.action_space.sample())
    assert not np.array_equal(first[0], env.render()[0])
    with pytest.raises(ValueError, match="render_mode is 'human'"):
        gymnasium.make_vec(ID, 2, tape=TAPE, render_mode="human")
    with pytest.raises(ValueError, match="autoreset_mode is 'never', expected one of NEXT_STEP"):
        gymnasium.make_vec(ID, 2, tape=TAPE, autoreset_mode="never")


@pytest.mark.parametrize(
    "action", [LongOnly(cap=0.5), LongShort(gross=1.5), Templates(((1.0, 0, 0, 0),)), Step(LongOnly(bound=1, scale=9))]
)
def test_a_specification_survives_json(action) -> None:
    made = gymnasium.make(
        ID, tape=TAPE, action=action, reward=TurnoverPenalty(), costs=Costs(fee_rate=2e-3), episode_days=(3, 5)
    )
    text = made.spec.to_json()
    assert len(text) < 2_000
    again = gymnasium.make(EnvSpec.from_json(text), tape=TAPE)
    market, other = made.unwrapped.market, again.unwrapped.market
    assert other.costs == market.costs
    assert other.action == market.action
    assert other.reward == market.reward
    assert other.episodes == market.episodes
    with pytest.raises(ValueError, match=r"tape: 'Tape' cannot be made from JSON; give it anew: gymnasium.make"):
        gymnasium.make(EnvSpec.from_json(text))


def test_a_vector_environment_has_a_specification_too() -> None:
    spec = json.loads(gymnasium.make_vec(ID, 3, tape=TAPE).spec.to_json())
    assert spec["kwargs"]["num_envs"] == 3
    assert spec["kwargs"]["tape"]["assets"] == list(TAPE.assets)


def test_the_repr_of_a_tape_is_one_line() -> None:
    assert repr(TAPE).startswith("Tape(3 assets, 30 days 2020-01-01 to ")
    assert len(repr(TAPE)) < 200


def test_a_plain_function_is_a_reward() -> None:
    env = gymnasium.make(ID, tape=TAPE, reward=lambda step: step.log_growth - 0.5 * step.turnover)
    env.reset(seed=0)
    _, reward, *_, info = env.step(np.array([-9.0, 9.0, 0.0, 0.0]))
    assert reward == pytest.approx(np.log(info["wealth"]) - 0.5 * info["turnover"])
    wrong = gymnasium.make(ID, tape=TAPE, reward=lambda step: 1.0)
    wrong.reset(seed=0)
    with pytest.raises(ValueError, match="return one finite number for each episode"):
        wrong.step(np.zeros(4))
    with pytest.raises(ValueError, match="expected a reward"):
        gymnasium.make(ID, tape=TAPE, reward=3)


class WeightsOnly:
    """An observation of somebody else's module: nothing but the account."""

    def space(self, tape: Tape) -> spaces.Space:
        return spaces.Box(-9.0, 9.0, (1 + tape.n_assets,), np.float32)

    def observe(self, tape, day, account):
        return account


class Halves:
    """An action of somebody else's module: half of the wealth in one asset."""

    max_stretch = 1.0

    def space(self, n_assets: int) -> spaces.Discrete:
        return spaces.Discrete(n_assets)

    def to_weights(self, actions, status, day, targets, hold):
        targets[:] = 0.5 * np.eye(targets.shape[1])[1 + np.asarray(actions)]
        targets[:, 0] = 0.5


def test_parts_of_ones_own_come_from_any_module() -> None:
    from gymnasium.utils.env_checker import check_env

    env = gymnasium.make(ID, tape=TAPE, observation=WeightsOnly(), action=Halves())
    observation, _ = env.reset(seed=0)
    assert observation.tolist() == [1, 0, 0, 0]
    assert env.step(2)[4]["weights"].tolist() == [0.5, 0, 0, 0.5]
    check_env(env.unwrapped, skip_render_check=True)
    with pytest.raises(ValueError, match="or an object with space"):
        gymnasium.make(ID, tape=TAPE, observation="wide")


def test_masks_name_the_choices_that_do_something() -> None:
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=TAPE, asset="A0", action=SellHoldBuy()).unwrapped
    env.reset(seed=0)
    assert env.action_masks().tolist() == [False, True, True]  # nothing to sell
    env.step(2)
    assert env.action_masks().tolist() == [True, True, False]  # nothing to buy with
    batch = gymnasium.make_vec("FactorGym/SingleStock-v0", 2, tape=TAPE, asset="A0").unwrapped
    batch.reset(seed=0)
    batch.step(np.array([2, 1]))
    assert batch.action_masks().tolist() == [[True, True, False], [False, True, True]]
    with pytest.raises(ValueError, match="LongOnly is not discrete"):
        gymnasium.make(ID, tape=TAPE).unwrapped.action_masks()


def test_importing_the_package_registers_both() -> None:
    assert envs is not None
    assert {ID, "FactorGym/SingleStock-v0"} <= set(gymnasium.registry)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_mode_is_an_attribute_as_that_of_gymnasiums_own(mode) -> None:
    """TorchRL's GymWrapper reads it."""
    assert gymnasium.make_vec(ID, 2, tape=TAPE, autoreset_mode=mode).unwrapped.autoreset_mode is mode
