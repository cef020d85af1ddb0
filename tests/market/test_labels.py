import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.prices.fills import FILLS, default_fill, fill_prices, marked_prices
from market.prices.labels import Label, cross_sectional_rank, cross_sectional_zscore


def random_panel(seed: int, days: int = 20, assets: int = 4) -> Panel:
    """Late listings, delistings, halts with and without prices, and a few bars without an open."""
    rng = np.random.default_rng(seed)
    close = np.exp(rng.normal(0, 0.1, (days, assets)).cumsum(0))
    values = np.stack([close * np.exp(rng.normal(0, 0.02, close.shape)), close], axis=2)
    first, last = rng.integers(0, days // 2, assets), rng.integers(days // 2, days, assets)
    day = np.arange(days)[:, None]
    listed = (day >= first) & (day <= last)
    halted = rng.random(listed.shape) < 0.15
    values[~listed | halted & (rng.random(listed.shape) < 0.5)] = np.nan
    values[rng.random(listed.shape) < 0.05, 0] = np.nan
    dates = np.datetime64("2020-01-01") + np.arange(days)
    return Panel(dates, tuple("ABCDEFGH"[:assets]), ("open", "close"), values, listed, listed & ~halted)


def two_prices(opens: list[float], closes: list[float]) -> Panel:
    values = np.stack([opens, closes], axis=1)[:, None, :].astype(float)
    on = np.ones((len(opens), 1), dtype=bool)
    return Panel(np.datetime64("2020-01-01") + np.arange(len(opens)), ("A",), ("open", "close"), values, on, on)


OPEN, CLOSE = [10, 11, 12, 15, 14, 16], [10.5, 12, 13, 14, 15, 18]


@pytest.mark.parametrize(
    ("fill", "horizon", "expected"),
    [
        ("close", 1, [12 / 10.5, 13 / 12, 14 / 13, 15 / 14, 18 / 15, np.nan]),
        ("close", 3, [14 / 10.5, 15 / 12, 18 / 13, np.nan, np.nan, np.nan]),
        ("next_open", 1, [12 / 11, 15 / 12, 14 / 15, 16 / 14, np.nan, np.nan]),
        ("next_open", 2, [15 / 11, 14 / 12, 16 / 15, np.nan, np.nan, np.nan]),
        ("next_close", 1, [13 / 12, 14 / 13, 15 / 14, 18 / 15, np.nan, np.nan]),
        ("next_close", 4, [18 / 12, np.nan, np.nan, np.nan, np.nan, np.nan]),
        ("next_open", 9, [np.nan] * 6),
    ],
)
def test_the_timeline_table(fill, horizon, expected):
    label = Label(fill, horizon).compute(two_prices(OPEN, CLOSE))
    np.testing.assert_allclose(label[:, 0], np.array(expected) - 1, rtol=1e-12)
    assert label.dtype == np.float64


def naive_label(panel: Panel, fill: str, horizon: int, day: int, asset: int) -> float:
    """The same definition, cell by cell, looking prices up like a person would."""
    delay = 0 if fill == "close" else 1
    entry_day, exit_day = day + delay, day + delay + horizon
    if exit_day >= len(panel) or not panel.listed[day, asset] or not panel.tradable[entry_day, asset]:
        return np.nan
    name = "open" if fill == "next_open" else "close"
    entry = panel[name][entry_day, asset]
    if not np.isfinite(entry):
        return np.nan
    gone = [d for d in range(entry_day, exit_day) if not panel.listed[d, asset]]
    exit_day = min([exit_day, *gone])
    price = {field: np.where(panel.listed & ~panel.tradable, np.nan, panel[field])[:, asset] for field in panel.fields}
    exit_price = price[name][exit_day]
    moments = [(d, field) for d in range(exit_day) for field in ("open", "close")]
    if name == "close":
        moments.append((exit_day, "open"))
        moments = [moment for moment in moments if moment[1] == "close"]
    while not np.isfinite(exit_price):
        d, field = moments.pop()
        exit_price = price[field][d]
    return float(exit_price / entry - 1)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(FILLS), st.integers(1, 4))
def test_labels_agree_with_a_cell_by_cell_look_up(seed, fill, horizon):
    panel = random_panel(seed)
    label = Label(fill, horizon).compute(panel)
    naive = [[naive_label(panel, fill, horizon, t, n) for n in range(4)] for t in range(len(panel))]
    np.testing.assert_allclose(label, np.array(naive), rtol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(FILLS), st.integers(1, 4), st.integers(0, 19))
def test_a_label_uses_its_span_of_days_and_no_others(seed, fill, horizon, day):
    panel = random_panel(seed)
    config = Label(fill, horizon)
    label = config.compute(panel)
    values = panel.values * 1.0
    outside = np.ones(len(panel), dtype=bool)
    outside[day : day + config.span + 1] = False
    values[outside] *= 7.0
    np.testing.assert_array_equal(config.compute(replace(panel, values=values))[day], label[day])
    cut = config.compute(panel[: day + config.span + 1])
    np.testing.assert_array_equal(cut[day], label[day])
    if day + config.span < len(panel):  # one day less and the label is not known yet
        assert np.isnan(config.compute(panel[: day + config.span])[day]).all()


def test_a_delisted_position_ends_at_the_last_known_price():
    panel = two_prices([10, 11, 12, np.nan, np.nan, np.nan], [10.5, 12, 13, np.nan, np.nan, np.nan])
    listed = np.array([[True], [True], [True], [False], [False], [False]])
    panel = replace(panel, listed=listed, tradable=listed)
    label = Label("next_open", 2).compute(panel)[:, 0]
    np.testing.assert_allclose(label[:2], [13 / 11 - 1, 13 / 12 - 1])  # the last close, 13, is later than the last open
    assert np.isnan(label[2:]).all()


def test_nothing_can_be_bought_on_an_untradable_day():
    panel = two_prices(OPEN, CLOSE)
    tradable = panel.tradable.copy()
    tradable[2] = False
    halted = replace(panel, tradable=tradable)
    assert np.isnan(Label("next_open").compute(halted)[1, 0])
    assert np.isnan(Label("close").compute(halted)[2, 0])
    assert np.isfinite(Label("next_open").compute(halted)[[0, 2, 3], 0]).all()


def test_prices_that_are_not_positive_are_unknown():
    panel = two_prices([10, 0, 12, 15, 14, 16], [10.5, 12, -1, 14, 15, np.inf])
    np.testing.assert_allclose(fill_prices(panel, "next_open")[:, 0], [10, np.nan, 12, 15, 14, 16])
    np.testing.assert_allclose(marked_prices(panel, "next_open")[:, 0], [10, 10.5, 12, 15, 14, 16])
    np.testing.assert_allclose(marked_prices(panel, "close")[:, 0], [10.5, 12, 12, 14, 15, 15])


@pytest.mark.parametrize(("name", "function"), [("rank", cross_sectional_rank), ("zscore", cross_sectional_zscore)])
def test_transforms_are_those_of_the_cross_section(name, function):
    panel = random_panel(3)
    plain = Label("next_close", 2).compute(panel)
    np.testing.assert_array_equal(Label("next_close", 2, transform=name).compute(panel), function(plain))


def test_spans_and_refusals():
    assert [Label(fill, 5).delay for fill in FILLS] == [0, 1, 1]
    assert [Label(fill, 5).span for fill in FILLS] == [5, 6, 6]
    frame = pd.DataFrame({"date": ["2020-01-01", "2020-01-02"], "symbol": "A", "close": [1.0, 2.0]})
    closes = Panel.from_frame(frame)
    with pytest.raises(ValueError, match="needs the field 'open', which it lacks; use fill='next_close'"):
        Label().compute(closes)
    assert default_fill(closes) == "next_close"
    assert default_fill(random_panel(0)) == "next_open"
    with pytest.raises(ValueError, match="horizon is 0"):
        Label(horizon=0)
    with pytest.raises(ValueError, match="fill is 'open', expected one of close, next_open, next_close"):
        Label(fill="open")
    with pytest.raises(ValueError, match="transform is 'ranks'"):
        Label(transform="ranks")


@given(seed=st.integers(0, 200), fill=st.sampled_from(FILLS), transform=st.sampled_from(["rank", "zscore"]))
@settings(max_examples=30, deadline=None)
def test_a_label_of_several_horizons_is_the_mean_of_theirs(seed, fill, transform):
    panel = random_panel(seed)
    horizons = (1, 2, 5)
    found = Label(fill, 1, transform, horizons)
    each = [Label(fill, days, transform).compute(panel) for days in horizons]
    np.testing.assert_allclose(found.compute(panel), np.mean(each, axis=0))
    assert found.span == 5 + found.delay
    assert np.isnan(found.compute(panel)[-found.span :]).all()
    np.testing.assert_array_equal(found.plain.compute(panel), Label(fill, 1).compute(panel))


@given(seed=st.integers(0, 200), cut=st.integers(8, 19))
@settings(max_examples=30, deadline=None)
def test_a_label_of_several_horizons_uses_no_day_past_its_span(seed, cut):
    panel, label = random_panel(seed), Label("next_close", 1, "rank", (1, 3))
    whole, part = label.compute(panel), label.compute(panel[:cut])
    known = cut - label.span
    np.testing.assert_array_equal(part[:known], whole[:known])


@pytest.mark.parametrize("trim", [0.1, 0.5])
def test_trimming_leaves_out_the_extremes_of_each_day_and_nothing_else(trim):
    panel = wide_panel()
    plain, found = Label("close", 1).compute(panel), Label("close", 1, trim=trim).compute(panel)
    left, known = np.isfinite(found), np.isfinite(plain)
    np.testing.assert_array_equal(found[left], plain[left])
    assert (left.sum(1)[:-1] / known.sum(1)[:-1]).tolist() == pytest.approx([1 - trim] * (len(panel) - 1), abs=0.06)
    for day in range(len(panel) - 1):
        gone = known[day] & ~left[day]
        inner = plain[day][left[day]]
        assert ((plain[day][gone] > inner.max()) | (plain[day][gone] < inner.min())).all()


def wide_panel():
    rng = np.random.default_rng(0)
    close = np.exp(rng.normal(0, 0.02, (12, 40)).cumsum(0))[..., None]
    on = np.ones((12, 40), dtype=bool)
    assets = tuple(f"A{k}" for k in range(40))
    return Panel(np.datetime64("2020-01-01") + np.arange(12), assets, ("close",), close, on, on)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizons": (1, 2)}, "cannot be averaged as they are; set transform to 'rank'"),
        ({"horizons": (0, 2), "transform": "rank"}, "expected different numbers of days from 1"),
        ({"horizons": (2, 2), "transform": "rank"}, "expected different numbers of days from 1"),
        ({"trim": 1.0}, "trim is 1.0"),
    ],
)
def test_an_impossible_combination_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Label(**change)


def test_a_label_read_back_from_json_is_the_same():
    label = Label("close", 1, "rank", (1, 2))
    assert Label(**json.loads(json.dumps(asdict(label)))) == label
