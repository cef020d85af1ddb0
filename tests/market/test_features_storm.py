"""STORM's features: the reference's names, and what they were meant to be."""

import numpy as np
import pytest

from market.features.alpha158 import Alpha158
from market.features.storm import StormFeatures
from market.panel import Panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    rng = np.random.default_rng(3)
    days, assets = 150, 3
    close = 30 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, assets)), axis=0))
    opened = close * np.exp(rng.normal(0, 0.01, close.shape))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    volume = rng.lognormal(12, 0.4, close.shape)
    listed = np.ones(close.shape, dtype=bool)
    return Panel(
        dates=np.datetime64("2012-01-02") + np.arange(days),
        assets=("A", "B", "C"),
        fields=("open", "high", "low", "close", "volume", "adj_close"),
        values=np.stack([opened, high, low, close, volume, close * 0.9], axis=2),
        listed=listed,
        tradable=listed,
    )


def test_149_names_in_the_order_of_the_reference() -> None:
    names = [entry.name for entry in StormFeatures().table()]
    assert len(set(names)) == len(names) == 149
    assert names[:15] == [
        *("open", "high", "low", "close", "adj_close"),
        *("kmid", "kmid2", "klen", "kup", "kup2", "klow", "klow2", "ksft", "ksft2", "roc_5"),
    ]
    families = "roc ma std beta max min qtlu qtld rank imax imin imxd rsv cntp cntn cntd corr cord sump sumn sumd vma"
    assert [name[:-2] for name in names[14::5]] == [*families.split(), "vstd", "wvma", "vsump", "vsumn", "vsumd"]


BARS = "kmid2 klen kup kup2 klow klow2 ksft ksft2"
ROLLING = "roc ma std beta qtlu qtld rank imxd rsv cntp cntn cntd corr cord vma vstd wvma vsump vsumn vsumd"


def test_what_equals_alpha158(panel: Panel) -> None:
    storm, alpha = StormFeatures().compute(panel), Alpha158().compute(panel)
    same = {name: name.upper() for name in BARS.split()}
    same |= {f"{name}_{w}": f"{name.upper()}{w}" for name in ROLLING.split() for w in (5, 10, 20, 30, 60)}
    for ours, theirs in same.items():
        np.testing.assert_array_equal(storm[ours], alpha[theirs], err_msg=ours)


def test_what_the_reference_chose_otherwise(panel: Panel) -> None:
    storm = StormFeatures().compute(panel)
    close, high, day, w = panel["close"], panel["high"], 100, 20
    window = slice(day + 1 - w, day + 1)
    returns = close[window] / close[day - w : day] - 1
    expected = {
        "open": panel["open"][day] / close[day - 1],
        "high": high[day] / close[day - 1],
        "low": panel["low"][day] / close[day - 1],
        "close": close[day] / close[day - 1],
        "adj_close": panel["adj_close"][day] / panel["adj_close"][day - 1],
        "kmid": 1 - panel["open"][day] / close[day],
        "max_20": close[window].max(axis=0) / close[day],
        "min_20": close[window].min(axis=0) / close[day],
        "imax_20": high[window].argmax(axis=0) / w,
        "imin_20": panel["low"][window].argmin(axis=0) / w,
        "sump_20": returns.clip(min=0).sum(axis=0) / np.abs(returns).sum(axis=0),
        "sumn_20": (-returns).clip(min=0).sum(axis=0) / np.abs(returns).sum(axis=0),
        "sumd_20": returns.sum(axis=0) / np.abs(returns).sum(axis=0),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(storm[name][day], values, rtol=1e-5, err_msg=name)


def test_what_the_reference_got_wrong(panel: Panel) -> None:
    storm = StormFeatures().compute(panel)
    close, volume = panel["close"], panel["volume"]
    for day in (60, 149):
        window = slice(day - 29, day + 1)
        for asset in range(3):
            slope = np.polyfit(np.arange(30), close[window, asset], 1)[0]
            assert storm["beta_30"][day, asset] == pytest.approx(slope / close[day, asset], rel=1e-5)
            corr = np.corrcoef(close[window, asset], np.log(volume[window, asset] + 1))[0, 1]
            assert storm["corr_30"][day, asset] == pytest.approx(corr, rel=1e-4)
            assert storm["rank_30"][day, asset] == pytest.approx((close[window, asset] <= close[day, asset]).mean())
    np.testing.assert_allclose(storm["sump_10"] + storm["sumn_10"], 1 + 0 * storm["sump_10"], rtol=1e-6)


def test_a_panel_without_adjusted_close_keeps_the_rest(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    features = StormFeatures().compute(panel.select(fields=panel.fields[:5]))
    assert len(features.fields) == 148
    assert [record.getMessage() for record in caplog.records] == [
        "StormFeatures: 1 of 149 features dropped (no adj_close: adj_close)"
    ]
