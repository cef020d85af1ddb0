"""What a tape holds, refuses and hides."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import BatchMarket, Costs, Tape
from market.prices.fills import FILLS
from tests.envs.markets import messy_panel, panel_of, plain_panel, states_of

PANEL = plain_panel(days=40, assets=3)


def test_the_legs_are_those_of_the_timeline():
    open_, close = PANEL["open"], PANEL["close"]
    overnight, session = open_[1:] / close[:-1] - 1, close[1:] / open_[1:] - 1
    whole = close[1:] / close[:-1] - 1
    for fill, before, after in (
        ("close", 0 * whole, whole),
        ("next_open", overnight, session),
        ("next_close", whole, 0 * whole),
    ):
        tape = Tape.from_panel(PANEL, fill=fill)
        assert tape.before[:-1] == pytest.approx(before, abs=1e-14)
        assert tape.after[:-1] == pytest.approx(after, abs=1e-14)
        assert len(tape) == 40


def test_the_default_fill_is_the_next_open_where_there_are_opens():
    assert Tape.from_panel(PANEL).fill == "next_open"
    assert Tape.from_panel(PANEL.select(fields=("close",))).fill == "next_close"
    with pytest.raises(ValueError, match="needs the field 'open'"):
        Tape.from_panel(PANEL.select(fields=("close",)), fill="next_open")
    with pytest.raises(ValueError, match="fill is 'open', expected one of close, next_open, next_close"):
        Tape.from_panel(PANEL, fill="open")


def test_a_halted_day_is_marked_at_the_last_price_and_the_next_one_catches_up():
    tradable = np.ones((4, 1), bool)
    tradable[1] = False
    tape = Tape.from_panel(panel_of([[10.0], [99.0], [12.0], [12.0]], tradable=tradable), fill="next_close")
    assert tape.before[:, 0] == pytest.approx([0.0, 0.2, 0.0, 0.0])
    assert np.isnan(tape.price[0, 0])


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(FILLS), st.integers(1, 4), st.booleans())
def test_rewriting_the_future_leaves_the_past_unchanged(seed, fill, lookback, changes):
    """Observations up to day t, and rewards and infos of the steps up to it, know nothing of the rows after t."""
    panel = messy_panel(days=24, assets=3, seed=seed, halts=0.2, absent=0.1, changes=changes)
    day = 12
    values, listed, tradable = panel.values.copy(), panel.listed.copy(), panel.tradable.copy()
    values[day + 1 :] *= np.random.default_rng(seed).uniform(0.5, 2, values[day + 1 :].shape)
    listed[day + 1 :, 1] ^= True
    tradable[day + 1 :] = False
    changed = type(panel)(panel.dates, panel.assets, panel.fields, values, listed, tradable)
    actions = np.random.default_rng(seed).normal(0, 2, (day, 1, 4))
    costs = Costs(fee_rate=1e-3, impact=0.5)
    told = [
        played(BatchMarket(Tape.from_panel(one, fill=fill, lookback=lookback, price_limit=0.05), costs=costs), actions)
        for one in (panel, changed)
    ]
    for one, other in zip(*told, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def played(market: BatchMarket, actions: np.ndarray) -> list[dict]:
    observation, info = market.reset()
    told = [dict(observation) | info]
    for action in actions:
        observation, reward, terminated, truncated, info = market.step(action)
        told.append(dict(observation) | info | {"reward": reward, "over": terminated | truncated})
    return told


def test_the_control_rewriting_the_past_does_change_it():
    values = PANEL.values.copy()
    values[5] *= 1.5
    changed = type(PANEL)(PANEL.dates, PANEL.assets, PANEL.fields, values, PANEL.listed, PANEL.tradable)
    actions = np.zeros((12, 1, 4))
    one, other = (played(BatchMarket(Tape.from_panel(p)), actions) for p in (PANEL, changed))
    assert not np.array_equal(one[-1]["wealth"], other[-1]["wealth"]) or one[6]["reward"] != other[6]["reward"]


def test_no_observation_holds_a_nan_whatever_the_panel_lacks():
    panel = messy_panel(days=30, assets=4, seed=5, halts=0.3, absent=0.3, changes=True)
    for view in ("full", "flat"):
        market = BatchMarket(Tape.from_panel(panel, lookback=3), observation=view)
        observation, _ = market.reset()
        for _ in range(29):
            parts = observation.values() if isinstance(observation, dict) else [observation]
            assert all(np.isfinite(part).all() and part.dtype == np.float32 for part in parts)
            observation = market.step(np.zeros((1, 5)))[0]


def test_states_are_matched_by_date_and_asset():
    states = states_of(PANEL)
    tape = Tape.from_panel(PANEL, states)
    assert np.array_equal(tape.asset, states.asset)
    assert np.array_equal(tape.market, states.market)
    assert np.array_equal(tape.fit_end, states.fit_end)
    assert np.shares_memory(tape.asset, states.asset)
    turned = Tape.from_panel(PANEL.select(["A2", "A0"]), states)
    assert np.array_equal(turned.asset, states.asset[:, [2, 0]])
    part = Tape.from_panel(PANEL, states_of(PANEL[10:30]))
    assert (part.dates[0], part.dates[-1]) == (PANEL.dates[10], PANEL.dates[29])
    assert part.before == pytest.approx(Tape.from_panel(PANEL).before[10:30])


def test_every_day_knows_whether_its_states_had_seen_its_label():
    days = PANEL.dates
    states = replace(states_of(PANEL), fit_end=np.where(np.arange(40) < 20, days[12], days - 1))
    tape = Tape.from_panel(PANEL, states, start=str(days[10]), stop=str(days[25]))
    assert np.array_equal(tape.fit_end, states.fit_end[10:26])
    assert np.flatnonzero(tape.in_sample).tolist() == [0, 1, 2]
    assert np.array_equal(tape.only("A1").in_sample, tape.in_sample)
    assert not Tape.from_panel(PANEL).in_sample.any()
    assert Tape.from_panel(PANEL).fit_end is None


def test_states_of_something_else_are_refused():
    with pytest.raises(ValueError, match="audit='skipped', expected 'passed'"):
        Tape.from_panel(PANEL, states_of(PANEL, audit="skipped"))
    assert len(Tape.from_panel(PANEL, states_of(PANEL, audit="skipped"), allow_unaudited=True)) == 40
    with pytest.raises(ValueError, match="fill is 'close' but the states were made for 'next_open'"):
        Tape.from_panel(PANEL, states_of(PANEL), fill="close")
    with pytest.raises(ValueError, match="states lack 1 of the panel's 3 assets, first 'A1'"):
        Tape.from_panel(PANEL, states_of(PANEL.select(["A0", "A2"])))
    later = plain_panel(days=80, assets=3)[50:]
    with pytest.raises(ValueError, match="share no day with the panel"):
        Tape.from_panel(PANEL, states_of(later))
    with pytest.raises(ValueError, match=r"states cover 2020-01-11 ... 2020-01-30, which leaves out 2020-01-05"):
        Tape.from_panel(PANEL, states_of(PANEL[10:30]), start="2020-01-05")
    holes = type(PANEL)(
        np.delete(PANEL.dates, 7),
        PANEL.assets,
        PANEL.fields,
        np.delete(PANEL.values, 7, 0),
        PANEL.listed[1:],
        PANEL.tradable[1:],
    )
    with pytest.raises(ValueError, match="states lacks 2020-01-08, a day in between"):
        Tape.from_panel(PANEL, states_of(holes))
    with pytest.raises(ValueError, match="both states and features"):
        Tape.from_panel(PANEL, states_of(PANEL), features=PANEL)


def test_features_are_seen_with_nan_as_zero():
    values = np.random.default_rng(0).normal(size=(40, 3, 5)).astype(np.float32)
    values[3, 1] = np.nan
    values[4, 1, 0] = np.inf
    features = type(PANEL)(PANEL.dates, PANEL.assets, tuple("abcde"), values, PANEL.listed, PANEL.tradable)
    tape = Tape.from_panel(PANEL, features=features)
    assert tape.asset[3, 1].tolist() == [0.0] * 5
    assert not tape.mask[3, 1]
    assert tape.asset[4, 1, 0] == 0.0
    assert tape.mask[4, 1]
    assert np.array_equal(tape.asset[5:], values[5:])
    assert tape.market[5] == pytest.approx(values[5].mean(axis=0), abs=1e-6)


def test_without_states_the_bars_are_seen_relative_to_the_close():
    tape = Tape.from_panel(PANEL)
    assert tape.asset.shape == (40, 3, 4)
    assert tape.asset[7, 2, 0] == pytest.approx(np.log(PANEL["open"][7, 2] / PANEL["close"][7, 2]), abs=1e-6)
    assert tape.asset[7, 2, 3] == pytest.approx(np.log(PANEL["close"][7, 2] / PANEL["close"][6, 2]), abs=1e-6)


@pytest.mark.parametrize("start", [None, "2020-01-02", "2020-01-21"])
def test_look_back_reaches_before_the_start_and_is_zero_before_the_data(start):
    states = states_of(PANEL)
    tape = Tape.from_panel(PANEL, states, start=start, lookback=4, observe="states")
    first = int(np.searchsorted(PANEL.dates, tape.dates[0]))
    market = BatchMarket(tape)
    observation, _ = market.reset()
    for t in range(first, first + 6):
        for lag in range(4):
            past = t - 3 + lag
            expected = states.asset[past] if past >= 0 else np.zeros((3, 4))
            assert np.array_equal(observation["assets"][0][:, 4 * lag : 4 * lag + 4], expected)
            expected = states.market[past] if past >= 0 else np.zeros(3)
            assert np.array_equal(observation["market"][0][3 * lag : 3 * lag + 3], expected)
        observation = market.step(np.zeros((1, 4)))[0]
    assert np.array_equal(tape.asset, states.asset[first:])


def test_a_tape_cannot_be_changed():
    tape = Tape.from_panel(PANEL)
    for name in ("before", "after", "status", "asset", "listed", "dates"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(tape, name)[0] = 0


def test_the_tape_of_one_asset_is_a_column():
    states = states_of(PANEL)
    tape = Tape.from_panel(PANEL, states, lookback=2)
    one = tape.only("A1")
    assert one.assets == ("A1",)
    assert np.array_equal(one.asset[:, 0], states.asset[:, 1])
    assert np.array_equal(one.after[:, 0], tape.after[:, 1])
    assert one.market is tape.market or np.array_equal(one.market, tape.market)


def test_the_benchmark_is_the_mean_of_the_listed_assets_or_what_is_given():
    close = np.array([[10.0, 20.0, np.nan], [11.0, 18.0, 5.0], [11.0, 18.0, 10.0]])
    tape = Tape.from_panel(panel_of(close, listed=np.isfinite(close)))
    assert tape.benchmark == pytest.approx([0.0, 1 / 3, 0.0])
    given = np.arange(40) / 1000
    assert np.array_equal(Tape.from_panel(PANEL, benchmark=given).benchmark[:-1], given[1:])
    with pytest.raises(ValueError, match="benchmark has shape"):
        Tape.from_panel(PANEL, benchmark=given[1:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": "2021-01-01"}, "days between 2021-01-01 and None, expected at least 2"),
        ({"lookback": 0}, "lookback is 0"),
        ({"delisting_return": -1.5}, "delisting_return is -1.5"),
        ({"price_limit": 10.0}, "price_limit is 10.0, expected a fraction"),
    ],
)
def test_impossible_tapes_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Tape.from_panel(PANEL, **arguments)


def test_observations_are_copies():
    market = BatchMarket(Tape.from_panel(PANEL, states_of(PANEL)), 2)
    observation, _ = market.reset()
    for part in observation.values():
        part[:] = 7.0
    again, _ = market.reset()
    assert not any((part == 7.0).any() for part in again.values())
    stepped, *_, info = market.step(np.zeros((2, 4)))
    kept = {name: part.copy() for name, part in stepped.items()}
    wealth = info["wealth"].copy()
    market.step(np.ones((2, 4)))
    assert all(np.array_equal(stepped[name], kept[name]) for name in kept)
    assert np.array_equal(info["wealth"], wealth)


def test_full_and_compact_observations_tell_the_same():
    tape = Tape.from_panel(messy_panel(30, 3, 2, 0.1, 0.1, True))
    full, compact = (BatchMarket(tape, 2, observation=view) for view in ("full", "compact"))
    (a, _), (b, _) = full.reset(), compact.reset()
    for action in np.random.default_rng(0).normal(size=(29, 2, 4)):
        day = b["day"][:, 0]
        assert np.array_equal(a["assets"], tape.asset[day])
        assert np.array_equal(a["market"], tape.market[day])
        assert np.array_equal(a["mask"], tape.mask[day])
        assert np.array_equal(a["account"], b["account"])
        a, b = full.step(action)[0], compact.step(action)[0]
