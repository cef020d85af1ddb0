"""The forecast is seen as channels of its own day, in every kind of observation, and named."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from envs import BatchMarket, Tape
from envs.forecast_channels import CHANNELS
from market.states import MarketStates
from tests.envs.markets import plain_panel, states_of

PANEL = plain_panel(days=30, assets=5)


def forecasting(seed: int = 0) -> MarketStates:
    generator = np.random.default_rng(seed)
    states = states_of(PANEL)
    mean = generator.normal(1e-3, 2e-3, (30, 5)).astype(np.float32)
    std = generator.uniform(0.01, 0.03, (30, 5)).astype(np.float32)
    mask = generator.random((30, 5)) > 0.1
    mean[3, 1] = np.nan
    std[4, 2] = 0.0
    return replace(states, forecast_mean=mean, forecast_std=std, mask=mask)


STATES = forecasting()


def test_channels_are_named_and_stand_behind_the_states():
    tape = Tape.from_panel(PANEL, STATES)
    assert tape.channels == ("state_0", "state_1", "state_2", "state_3", *CHANNELS)
    assert tape.market_channels == ("market_state_0", "market_state_1", "market_state_2", "fit_age")
    assert Tape.from_panel(PANEL, STATES, observe="states").channels == tape.channels[:4]
    assert Tape.from_panel(PANEL, STATES, observe="forecast").channels == CHANNELS
    assert Tape.from_panel(PANEL).channels == ("open", "high", "low", "return")
    with pytest.raises(ValueError, match="observe is 'dreams', expected one of states, forecast"):
        Tape.from_panel(PANEL, STATES, observe="dreams")


@pytest.mark.parametrize("day", [0, 3, 4, 17])
def test_each_channel_is_what_its_name_says(day):
    shown = Tape.from_panel(PANEL, STATES, observe="forecast").seen_assets(np.array([day]))[0]
    known = STATES.mask[day] & np.isfinite(STATES.forecast_mean[day])
    mean = STATES.forecast_mean[day].astype(np.float64)[known]
    assert shown[known, 0] == pytest.approx((mean - mean.mean()) / mean.std(), abs=1e-5)
    assert np.argsort(shown[known, 1]).tolist() == np.argsort(rankdata(mean)).tolist()
    assert shown[known, 2] == pytest.approx(mean, rel=1e-6)
    positive = STATES.mask[day] & (STATES.forecast_std[day] > 0)
    std = STATES.forecast_std[day].astype(np.float64)
    assert shown[positive, 3] == pytest.approx(np.log(std[positive] / np.median(std[positive])), abs=1e-6)
    assert not shown[~known, :3].any()
    assert not shown[~positive, 3].any()


def test_the_age_of_the_fit_counts_years_and_never_runs_backwards():
    refitted = np.where(np.arange(30) < 20, PANEL.dates[10], PANEL.dates[19])  # the first fit saw days that it serves
    tape = Tape.from_panel(PANEL, replace(STATES, fit_end=refitted))
    days = (tape.dates - refitted).astype(int)
    assert tape.seen_market(slice(None))[:, -1] == pytest.approx(np.maximum(days, 0) / 365.25, abs=1e-6)
    assert days[0] < 0
    assert 0 < days[20] < days[18]


def test_the_forecast_of_later_days_is_never_seen():
    later = replace(STATES, forecast_mean=STATES.forecast_mean.copy(), forecast_std=STATES.forecast_std.copy())
    later.forecast_mean[15:] *= -3
    later.forecast_std[15:] *= 2
    one, other = (Tape.from_panel(PANEL, states, lookback=3).seen_assets(slice(None)) for states in (STATES, later))
    np.testing.assert_array_equal(one[:15], other[:15])
    assert not np.array_equal(one[15], other[15])


@pytest.mark.parametrize("lookback", [1, 3])
def test_full_flat_and_compact_observations_show_the_same(lookback):
    tape = Tape.from_panel(PANEL, STATES, start="2020-01-05", lookback=lookback)
    full, flat, compact = (
        BatchMarket(tape, 2, observation=view).reset(seed=0)[0] for view in ("full", "flat", "compact")
    )
    rows = compact["day"][:, 0]
    np.testing.assert_array_equal(full["assets"], tape.seen_assets(rows))
    np.testing.assert_array_equal(full["market"], tape.seen_market(rows))
    np.testing.assert_array_equal(flat, np.concatenate([part.reshape(2, -1) for part in full.values()], axis=1))
    assert full["assets"].shape == (2, 5, 8 * lookback)


def test_a_single_stock_sees_its_own_forecast_and_its_rank_among_all():
    tape = Tape.from_panel(PANEL, STATES)
    one = tape.only("A3")
    assert one.channels == tape.channels
    np.testing.assert_array_equal(one.seen_assets(slice(None))[:, 0], tape.seen_assets(slice(None))[:, 3])


def test_other_orders_and_fewer_assets_find_their_own_forecast():
    panel = PANEL.select(["A4", "A1"])
    shown = Tape.from_panel(panel, STATES, observe="forecast").seen_assets(slice(None))
    levels = np.where(STATES.mask, np.nan_to_num(STATES.forecast_mean), 0.0)[:, [4, 1]]
    np.testing.assert_array_equal(shown[:, :, 2], levels)
