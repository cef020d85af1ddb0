"""What is drawn."""

import gymnasium
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

from envs import LongShort, Tape
from envs.rendering import COLOURS, LEFT, PANELS, RIGHT, EpisodeHistory, draw, stacked_weights
from tests.envs.markets import plain_panel

TAPE = Tape.from_panel(plain_panel(days=30, assets=12))


def test_an_image_shows_the_episode_so_far():
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, render_mode="rgb_array", action=LongShort())
    env.reset(seed=0)
    first = env.render()
    assert first.dtype == np.uint8
    assert first.shape == (480, 640, 3)
    for _ in range(5):
        env.step(env.action_space.sample())
    later = env.render()
    assert not np.array_equal(first, later)
    assert np.array_equal(later, env.render())
    assert pyplot.get_fignums() == []
    env.close()
    env.close()


def test_the_panels_hold_the_numbers_of_the_infos():
    record = EpisodeHistory(TAPE, 0, {"date": TAPE.dates[0], "wealth": 1.0, "weights": np.eye(13)[0]})
    for day, wealth in ((1, 1.1), (2, 0.88)):
        record.add({"date": TAPE.dates[day], "wealth": wealth, "weights": np.full(13, 1 / 13)})
    assert record.benchmark == pytest.approx([1.0, *np.cumprod(1 + TAPE.benchmark[:2])])
    names, rows = stacked_weights(np.array(record.weights), record.assets)
    assert len(names) == 10  # cash, eight assets, the others
    assert rows.sum(axis=0) == pytest.approx(1.0)
    assert rows[0].tolist() == pytest.approx([1.0, 1 / 13, 1 / 13])


def test_what_is_held_is_drawn_where_it_is_held():
    """Cash alone fills the first half of the days from bottom to top, the first asset the second half."""
    record = EpisodeHistory(TAPE, 0, {"date": TAPE.dates[0], "wealth": 1.0, "weights": np.eye(13)[0]})
    for day in range(1, 11):
        record.add({"date": TAPE.dates[day], "wealth": 1.0, "weights": np.eye(13)[0 if day < 6 else 1]})
    image = np.array(draw(record))
    top, bottom = PANELS["weights"]
    assert (image[(top + bottom) // 2, [LEFT + 20, RIGHT - 20]] == [COLOURS[0], COLOURS[1]]).all()
    assert (image[top + 4, [LEFT + 20, RIGHT - 20]] == [COLOURS[0], COLOURS[1]]).all()


def test_human_mode_draws_at_every_step_and_closes():
    with mpl.rc_context({"backend": "agg"}):
        env = gymnasium.make("FactorGym/SingleStock-v0", tape=TAPE, asset="A0", render_mode="human")
        with pytest.warns(UserWarning, match="'human' finds no display.*render_mode='rgb_array'"):
            env.reset(seed=0)
        env.step(2)  # said once
        assert env.render() is None
        assert len(pyplot.get_fignums()) == 1
        env.close()
        assert pyplot.get_fignums() == []


def test_nothing_is_drawn_or_kept_without_a_mode():
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE).unwrapped
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env._record is None
    assert env.render() is None
