"""Where episodes start, how long they last, and that a seed decides it alone."""

import gymnasium
import numpy as np
import pytest

from envs import BatchMarket, Costs, Episodes, SellHoldBuy, Tape
from tests.envs.markets import messy_panel, plain_panel

TAPE = Tape.from_panel(plain_panel(days=50, assets=2))


def make(**kwargs):
    return gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, observation="compact", **kwargs)


def days_of(env, seed=None) -> list[int]:
    """The rows that one episode stands on."""
    days = [int(env.reset(seed=seed)[0]["day"][0])]
    over = False
    while not over:
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample() * 0)
        days.append(int(observation["day"][0]))
        over = terminated or truncated
    return days


def test_an_evaluation_replays_every_day():
    assert days_of(make()) == list(range(50))


def test_training_starts_anywhere_and_lasts_as_long_as_asked():
    env = make(episode_days=10)
    starts = set()
    for seed in range(300):
        days = days_of(env, seed)
        assert days == list(range(days[0], days[0] + 11))
        starts.add(days[0])
    assert starts == set(range(40))


def test_random_lengths_cover_their_range():
    env = make(episode_days=(3, 5))
    assert {len(days_of(env, seed)) - 1 for seed in range(100)} == {3, 4, 5}


def test_a_seed_decides_everything_and_the_global_generator_nothing():
    env = make(episode_days=(3, 9))
    np.random.seed(1)
    first = [days_of(env, 4), days_of(env), days_of(env)]
    np.random.seed(2)
    before = np.random.get_state()[1].copy()
    assert [days_of(env, 4), days_of(env), days_of(env)] == first
    assert np.array_equal(np.random.get_state()[1], before)
    assert days_of(env, 5) != first[0]


def test_the_seed_of_a_batch_is_that_of_its_constructor_or_of_its_reset():
    days = [BatchMarket(TAPE, 20, episodes=Episodes(5), seed=3, observation="compact").reset()[0]["day"] for _ in "ab"]
    assert np.array_equal(*days)
    market = BatchMarket(TAPE, 20, episodes=Episodes(5), observation="compact")
    assert np.array_equal(market.reset(seed=3)[0]["day"], days[0])
    assert not np.array_equal(market.reset()[0]["day"], days[0])


@pytest.mark.parametrize("day", [12, "2020-01-13", np.datetime64("2020-01-13")])
def test_options_choose_the_first_day(day):
    env = make(episode_days=7)
    assert env.reset(options={"day": day})[0]["day"][0] == 12
    info = env.step(env.action_space.sample())[4]
    assert info["date"] == np.datetime64("2020-01-14")
    env.reset(options={"day": day, "days": 1})
    assert env.step(env.action_space.sample())[3]


def test_an_episode_chosen_near_the_end_is_cut_there():
    env = make(episode_days=7)
    env.reset(options={"day": 47})
    assert [env.step(env.action_space.sample())[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"day": 49}, "day 49 is outside 0 ... 48"),
        ({"day": "2021-01-01"}, "day 2021-01-01 is not among the 50 days"),
        ({"day": "soon"}, "day is 'soon', expected a row, a date, or text as YYYY-MM-DD"),
        ({"day": 3.5}, "day is 3.5, expected a row, a date"),
        ({"day": 3, "days": 0}, "days is 0"),
        ({"start": 3}, "no option 'start'; there are day, days, weights"),
        ({"weights": [0.5, 0.2, 0.2]}, "summing to 1"),
    ],
)
def test_impossible_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        make().reset(options=options)


@pytest.mark.parametrize("days", [0, 50, (5, 3), (1, 99)])
def test_impossible_lengths_are_refused(days):
    with pytest.raises(ValueError, match=r"hold episodes of 1 to 49; choose fewer \(--episode-days"):
        make(episode_days=days)


def test_the_initial_position_is_held_without_a_trade():
    env = gymnasium.make(
        "FactorGym/SingleStock-v0", tape=TAPE, asset="A0", costs=Costs(0.01), initial_weights=(0.25, 0.75)
    )
    observation, info = env.reset()
    assert observation["account"].tolist() == [0.25, 0.75]
    assert info["wealth"] == 1.0
    info = env.step(1)[4]
    close = TAPE.only("A0")
    growth = (1 + close.before[0, 0]) * (1 + close.after[0, 0])
    assert info["wealth"] == pytest.approx(0.25 + 0.75 * growth)
    assert env.reset(options={"weights": [0.5, 0.5]})[0]["account"].tolist() == [0.5, 0.5]
    assert env.reset()[0]["account"].tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="expected cash and 1 assets"):
        gymnasium.make("FactorGym/SingleStock-v0", tape=TAPE, asset="A0", initial_weights=(1.0,))


def test_an_initial_position_in_an_asset_that_is_not_listed_is_cash():
    panel = messy_panel(days=40, assets=3, seed=1, halts=0.0, absent=0.0, changes=True)
    tape = Tape.from_panel(panel)
    day = int(np.flatnonzero(~tape.listed[:-1, 1])[0])
    market = BatchMarket(tape, episodes=Episodes(weights=(0.0, 0.5, 0.5, 0.0)))
    market.reset(options={"day": day})
    assert market.account[0, 2] == 0.0
    assert market.account[0].sum() == pytest.approx(1.0)


def test_a_new_episode_remembers_nothing():
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=TAPE, asset="A0", action=SellHoldBuy(), costs=Costs(0.01))

    def play():
        env.reset(seed=0)
        return [env.step(2)[1] for _ in range(5)]

    assert play() == play()
