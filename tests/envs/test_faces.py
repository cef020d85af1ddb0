"""One step, several faces: batch, single environment, vector environment agree to the bit; both checkers are clean."""

import copy
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import envs
from envs import (
    BatchMarket,
    Costs,
    DifferentialSharpe,
    DrawdownPenalty,
    Episodes,
    LogGrowth,
    LongOnly,
    LongShort,
    Position,
    SellHoldBuy,
    Tape,
    TargetLevels,
    Templates,
    TurnoverPenalty,
)
from envs.observations import ObservationBuilder
from envs.portfolio import PortfolioEnv
from tests.envs.markets import messy_panel, plain_panel, states_of

COSTS = Costs(fee_rate=1e-3, sell_fee_rate=2e-3, half_spread=1e-4, impact=0.5, borrow_rate=1e-4, cash_rate=1e-4)
PORTFOLIO = (
    LongOnly(),
    LongOnly(cash=False),
    LongOnly(cap=0.6),
    LongOnly(bound=1, scale=20),
    LongShort(gross=1.5, net=0.5, cap=0.8),
    Templates(),
    Templates(((1.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.25, -0.25))),
)
SINGLE = (SellHoldBuy(), TargetLevels((-1.0, 0.0, 1.0)), Position(), Position(low=-1))


def messy(lookback: int = 1) -> Tape:
    panel = messy_panel(days=40, assets=3, seed=1, halts=0.2, absent=0.1, changes=True)
    return Tape.from_panel(panel, states_of(panel), price_limit=0.05, lookback=lookback)


def same(one: object, other: object) -> bool:
    """Whether two observations or infos are equal to the bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return np.array_equal(one, other)


@pytest.mark.parametrize("observation", ["full", "flat", "compact"])
@pytest.mark.parametrize("action", PORTFOLIO)
def test_every_episode_of_a_batch_equals_a_single_environment(action, observation):
    """Across ends of episodes, random starts and lengths: the batch starts anew by itself, the single by reset()."""
    tape = messy(lookback=3)
    kwargs = {"costs": COSTS, "action": action, "observation": observation}
    market = BatchMarket(tape, 5, episodes=Episodes((3, 9)), seed=7, **kwargs)
    batch, _ = market.reset()
    singles = [gymnasium.make("FactorGym/Portfolio-v0", tape=tape, episode_days=(3, 9), **kwargs) for _ in range(5)]
    shown = [single.reset(seed=7 + k)[0] for k, single in enumerate(singles)]
    market.action_space.seed(0)
    for _ in range(30):
        actions = np.array([market.action_space.sample() for _ in singles])
        batch, reward, terminated, truncated, info = market.step(actions)
        for k, single in enumerate(singles):
            shown[k], r, term, trunc, single_info = single.step(actions[k])
            assert (r, term, trunc) == (reward[k], terminated[k], truncated[k])
            assert all(same(value, info[name][k]) for name, value in single_info.items())
            if term or trunc:
                j = list(info["final_rows"]).index(k)
                assert same(shown[k], row_of(info["final_obs"], j))
                shown[k], _ = single.reset()
            assert same(shown[k], row_of(batch, k))


def row_of(observation, k):
    return {n: part[k] for n, part in observation.items()} if isinstance(observation, dict) else observation[k]


def test_a_batch_of_many_equals_a_batch_of_few_to_the_bit():
    tape = Tape.from_panel(plain_panel(days=30, assets=29))
    actions = np.random.default_rng(0).normal(0, 2, (29, 300, 30)).astype(np.float32)
    many, few = (BatchMarket(tape, n, costs=Costs(1e-3), seed=0) for n in (300, 3))
    many.reset(), few.reset()
    for day in range(29):
        a, b = many.step(actions[day]), few.step(actions[day, :3])
        assert np.array_equal(a[1][:3], b[1])
        assert np.array_equal(a[4]["wealth"][:3], b[4]["wealth"])
        assert np.array_equal(a[4]["weights"][:3], b[4]["weights"])


@pytest.mark.parametrize("name", ["Portfolio", "SingleStock"])
def test_make_vec_equals_single_environments_across_resets(name):
    tape = messy()
    kwargs = {"tape": tape, "costs": COSTS, "episode_days": (3, 9)}
    kwargs |= {"asset": "A1"} if name == "SingleStock" else {}
    venv = gymnasium.make_vec(f"FactorGym/{name}-v0", num_envs=4, **kwargs)
    assert venv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    oracle = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(f"FactorGym/{name}-v0", **kwargs)] * 4, autoreset_mode=AutoresetMode.SAME_STEP
    )
    assert venv.single_observation_space == oracle.single_observation_space
    assert venv.action_space == oracle.action_space
    observation, info = venv.reset(seed=3)
    expected, expected_info = oracle.reset(seed=3)
    assert same(observation, expected)
    assert same(plain(info), plain(expected_info))
    venv.action_space.seed(1)
    ends = 0
    for _ in range(25):
        actions = venv.action_space.sample()
        ours, theirs = venv.step(actions), oracle.step(actions)
        for one, other in zip(ours[:4], theirs[:4], strict=True):
            assert same(one, other)
        info, expected_info = ours[4], theirs[4]
        over = ours[2] | ours[3]
        assert info.keys() == expected_info.keys()
        assert same(plain(info), plain(expected_info))
        for k in np.flatnonzero(over):
            ends += 1
            assert same(info["final_obs"][k], expected_info["final_obs"][k])
            for key, value in expected_info["final_info"].items():
                assert np.array_equal(info["final_info"][key][k], value[k])
    assert ends > 4
    venv.close()
    oracle.close()


def plain(info: dict) -> dict:
    """The numbers of an info; dates compare as numbers, and what ended is compared apart."""
    kept = {name: value for name, value in info.items() if not name.lstrip("_").startswith("final")}
    return {name: value.astype("datetime64[D]") if name == "date" else value for name, value in kept.items()}


def test_vector_environment_takes_a_seed_for_each_episode():
    tape = Tape.from_panel(plain_panel())
    venv = gymnasium.make_vec("FactorGym/Portfolio-v0", num_envs=3, tape=tape, episode_days=5, observation="compact")
    days = venv.reset(seed=[4, 9, 4])[0]["day"][:, 0]
    assert days[0] == days[2] != days[1]
    with pytest.raises(ValueError, match="2 numbers for 3 episodes"):
        venv.reset(seed=[1, 2])


def checked(env: gymnasium.Env, render: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", ".*'human' finds no display"
        )  # the checker tries every mode, here without one
        check_env(env.unwrapped, skip_render_check=not render)
        check_env_sb3(env.unwrapped, skip_render_check=not render)


@pytest.mark.parametrize("observation", ["flat", "compact"])
@pytest.mark.parametrize("action", [a for a in PORTFOLIO if not isinstance(a, LongOnly) or a.bound == 1])
def test_both_checkers_find_nothing_in_the_portfolio_environment(action, observation):
    kwargs = {"tape": messy(), "costs": COSTS, "action": action, "observation": observation}
    checked(gymnasium.make("FactorGym/Portfolio-v0", **kwargs))


@pytest.mark.parametrize("observation", ["full", "flat", "compact"])
@pytest.mark.parametrize("action", SINGLE)
def test_both_checkers_find_nothing_in_the_single_stock_environment(action, observation):
    kwargs = {"tape": messy(), "asset": "A0", "costs": COSTS, "action": action, "observation": observation}
    checked(gymnasium.make("FactorGym/SingleStock-v0", **kwargs))


@pytest.mark.parametrize("reward", [LogGrowth(), DifferentialSharpe(), DrawdownPenalty(TurnoverPenalty())])
def test_both_checkers_find_nothing_whatever_the_reward(reward):
    checked(gymnasium.make("FactorGym/SingleStock-v0", tape=messy(), asset="A0", reward=reward, episode_days=9))


def test_both_checkers_find_nothing_in_what_is_drawn():
    tape = messy()
    checked(gymnasium.make("FactorGym/SingleStock-v0", tape=tape, asset="A0", render_mode="rgb_array"), render=True)


@pytest.mark.parametrize("action", PORTFOLIO)
def test_the_checkers_find_nothing_but_two_matters_of_taste(action):
    """Full observations are a matrix, where SB3 recommends a vector; raw logits are not squeezed into [-1, 1]."""
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=messy(), action=action)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped, skip_render_check=True)
        check_env_sb3(env.unwrapped)
    said = [str(one.message) for one in caught]
    wide = isinstance(action, LongOnly) and action.bound != 1
    assert sum("assets has an unconventional shape" in one for one in said) == 1
    assert sum("normalized" in one for one in said) == 2 * wide
    assert len(said) == 1 + 2 * wide


def test_importing_the_package_registers_both_environments():
    assert {"FactorGym/Portfolio-v0", "FactorGym/SingleStock-v0"} <= set(gymnasium.registry)
    assert set(envs.__all__) <= set(dir(envs))


def test_a_finished_episode_must_be_reset():
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=messy(), asset="A0", episode_days=1)
    env.reset(seed=0)
    assert env.step(1)[3]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(1)


def test_the_tape_is_shared_by_all_episodes_and_by_copies():
    tape = messy()
    assert copy.deepcopy(tape) is tape
    assert copy.copy(tape) is tape
    assert BatchMarket(tape, 64).tape is tape
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape)
    assert env.unwrapped.tape is tape
    assert gymnasium.make(env.spec).unwrapped.tape is tape  # Gymnasium deep-copies the arguments of a spec


def test_the_single_stock_environment_wants_one_asset():
    with pytest.raises(ValueError, match="asset is not given and the tape has 3: A0, A1, A2"):
        gymnasium.make("FactorGym/SingleStock-v0", tape=messy())
    with pytest.raises(ValueError, match="no asset 'B' among 3: A0, A1, A2"):
        gymnasium.make("FactorGym/SingleStock-v0", tape=messy(), asset="B")
    assert gymnasium.make("FactorGym/SingleStock-v0", tape=messy().only("A2")).unwrapped.tape.assets == ("A2",)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="n_envs is 0"):
        BatchMarket(messy(), 0)
    with pytest.raises(ValueError, match="render_mode is 'ansi'"):
        PortfolioEnv(messy(), render_mode="ansi")
    with pytest.raises(ValueError, match="observation is 'pixels', expected one of full, flat, compact"):
        ObservationBuilder(messy(), "pixels")
