"""The negative control shows nothing of the days it stands on, nor of the assets it stands at."""

import numpy as np

from envs import Tape
from pipeline.control_markets import shuffle_states
from tests.envs.markets import plain_panel, states_of


def test_a_shuffled_tape_shows_the_same_numbers_elsewhere() -> None:
    panel = plain_panel(300, 6, 0)
    tape = Tape.from_panel(panel, states_of(panel), lookback=2)
    found = shuffle_states(tape, 0)
    for name in ("frames", "market_frames", "forecast_frames", "age_frames"):
        before, after = getattr(tape, name), getattr(found, name)
        assert after.shape == before.shape
        width = before.shape[-1]
        np.testing.assert_array_equal(
            np.sort(before.reshape(-1, width), axis=0), np.sort(after.reshape(-1, width), axis=0)
        )
    own, shown = tape.frames[:, :, 0], found.frames[:, :, 0]
    assert abs(np.corrcoef(own.ravel(), shown.ravel())[0, 1]) < 0.1
    assert found.before is tape.before or np.array_equal(found.before, tape.before)


def test_what_an_asset_shows_on_average_is_shuffled_away_too() -> None:
    """Its mean over all days, later ones included, would say which asset was worth holding."""
    panel = plain_panel(600, 6, 0)
    states = states_of(panel)
    states.asset[:, :, 0] += 3 * np.arange(6, dtype=np.float32)
    tape = Tape.from_panel(panel, states)
    means = [one.frames[:, :, 0].mean(axis=0) for one in (tape, shuffle_states(tape, 0))]
    assert np.ptp(means[0]) > 14
    assert np.ptp(means[1]) < 1.5
