from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.scaling.cross_section import CONSTANT, cross_sectional_rank, cross_sectional_zscore
from market.scaling.scalers import CrossSectionalRank, CrossSectionalZScore, RobustZScore, TrailingZScore

SCALINGS = [RobustZScore(), CrossSectionalZScore(), CrossSectionalRank(), TrailingZScore(window=7)]
TRAIN = slice(5, 40)


def feature_panel(seed: int = 0, days: int = 70, assets: int = 6, width: int = 19) -> Panel:
    """Features of very different levels and scales, with holes, infinities, late listings and a constant feature."""
    rng = np.random.default_rng(seed)
    values = (rng.standard_t(3, (days, assets, width)) + rng.normal(0, 50, width)) * 10.0 ** rng.integers(-3, 4, width)
    values[:, :, 3:4] = 0.1
    values[rng.random(values.shape) < 0.05] = np.nan
    values[rng.random(values.shape) < 0.01] = np.inf
    listed = np.arange(days)[:, None] >= rng.integers(0, 30, assets)
    listed[:, 0] = True
    dates = np.datetime64("2020-01-01") + np.arange(days)
    fields = tuple(f"F{k}" for k in range(width))
    return Panel(dates, tuple("ABCDEF"[:assets]), fields, values.astype(np.float32), listed, listed)


def known_cells(panel: Panel) -> np.ndarray:
    return np.isfinite(panel.values) & panel.listed[:, :, None]


@pytest.mark.parametrize("scaling", SCALINGS, ids=lambda scaling: type(scaling).__name__)
class TestEveryScaling:
    def test_values_are_finite_float32_and_unknown_ones_zero(self, scaling):
        panel = feature_panel()
        scaled = scaling.fit(panel, TRAIN).transform(panel)
        assert scaled.values.dtype == np.float32
        assert np.isfinite(scaled.values).all()
        assert (scaled.values[~known_cells(panel)] == 0).all()
        assert (scaled.values[:, :, 3] == 0).all()  # constant
        assert (scaled.values[known_cells(panel)] != 0).mean() > 0.7
        assert scaled.fields == panel.fields
        assert scaled.assets == panel.assets

    def test_values_may_be_overwritten_where_they_lie(self, scaling):
        panel = feature_panel()
        scaler = scaling.fit(panel, TRAIN)
        apart = scaler.transform(panel)
        over = scaler.overwrite(panel)
        assert over.values is panel.values
        np.testing.assert_array_equal(over.values, apart.values)
        for kept in (feature_panel().values.astype(np.float64), feature_panel().values):
            kept.flags.writeable = kept.dtype == np.float64
            before = kept.copy()
            np.testing.assert_array_equal(scaler.overwrite(replace(panel, values=kept)).values, apart.values)
            np.testing.assert_array_equal(kept, before)

    def test_rows_outside_train_do_not_move_the_fit(self, scaling):
        panel = feature_panel()
        outside = np.ones(len(panel), dtype=bool)
        outside[TRAIN] = False
        values = panel.values.copy()
        values[outside] = 1000 * values[outside] - 7
        altered = replace(panel, values=values, listed=panel.listed | outside[:, None])
        plain, moved = scaling.fit(panel, TRAIN), scaling.fit(altered, TRAIN)
        assert plain.arrays().keys() == moved.arrays().keys()
        for name, array in plain.arrays().items():
            np.testing.assert_array_equal(array, moved.arrays()[name])

    def test_the_past_is_scaled_the_same_whatever_comes_later(self, scaling):
        panel = feature_panel()
        scaler = scaling.fit(panel, TRAIN)
        full = scaler.transform(panel).values
        for stop in (1, 7, 8, 41, 69):
            np.testing.assert_array_equal(scaler.transform(panel[:stop]).values, full[:stop])

    def test_a_restored_scaler_scales_the_same(self, scaling):
        panel = feature_panel()
        scaler = scaling.fit(panel, TRAIN)
        again = scaling.restore(scaler.fields, scaler.arrays())
        np.testing.assert_array_equal(again.transform(panel).values, scaler.transform(panel).values)

    def test_other_features_are_refused(self, scaling):
        panel = feature_panel()
        scaler = scaling.fit(panel, TRAIN)
        with pytest.raises(ValueError, match="fitted on 19 features, got 18; they differ in F7"):
            scaler.transform(panel.select(fields=[name for name in panel.fields if name != "F7"]))
        with pytest.raises(ValueError, match="the same names in another order"):
            scaler.transform(panel.select(fields=panel.fields[::-1]))

    def test_blocks_of_days_change_nothing(self, scaling, monkeypatch):
        panel = feature_panel()
        scaler = scaling.fit(panel, TRAIN)
        whole = scaler.transform(panel).values
        monkeypatch.setattr("market.scaling.scalers.BLOCK_CELLS", 400)
        np.testing.assert_array_equal(scaler.transform(panel).values, whole)

    def test_input_is_left_alone(self, scaling):
        panel = feature_panel()
        panel.values.flags.writeable = panel.listed.flags.writeable = False
        before = panel.values.copy()
        scaling.fit(panel, TRAIN).transform(panel)
        np.testing.assert_array_equal(panel.values, before)


def test_robust_zscore_agrees_with_pandas():
    panel = feature_panel()
    scaled = RobustZScore(clip=None).fit(panel, TRAIN).transform(panel)
    known = known_cells(panel)
    for f in (0, 1, 2, 4, 17, 18):
        train = pd.Series(panel.values[TRAIN, :, f][known[TRAIN, :, f]].astype(float))
        spread = 1.4826 * (train - train.median()).abs().median()
        expected = (panel.values[:, :, f].astype(float) - train.median()) / spread
        np.testing.assert_allclose(
            scaled.values[:, :, f][known[:, :, f]], expected[known[:, :, f]], rtol=1e-5, atol=1e-6
        )


def test_robust_zscore_clips():
    panel = feature_panel()
    assert np.abs(RobustZScore(clip=2.5).fit(panel, TRAIN).transform(panel).values).max() == 2.5
    assert np.abs(RobustZScore(clip=None).fit(panel, TRAIN).transform(panel).values).max() > 3


def test_a_feature_that_is_mostly_one_value_keeps_its_exceptions():
    panel = feature_panel(width=2)
    values = np.zeros_like(panel.values)
    values[10:14, 0, 0] = 2.0
    panel = replace(panel, values=values)
    scaler = RobustZScore(clip=None).fit(panel, TRAIN)
    count = panel.listed[TRAIN].sum()
    np.testing.assert_allclose(scaler.arrays()["scale"], [np.sqrt(4 * 4 / count), 0])
    scaled = scaler.transform(panel).values
    np.testing.assert_allclose(scaled[10:14, 0, 0], 2 / np.sqrt(16 / count), rtol=1e-6)
    assert (scaled[:, :, 1] == 0).all()


def test_a_feature_unknown_in_train_is_zero():
    panel = feature_panel()
    panel.values[TRAIN, :, 5] = np.nan
    assert (RobustZScore().fit(panel, TRAIN).transform(panel).values[:, :, 5] == 0).all()


@pytest.mark.parametrize(
    ("scaling", "function"),
    [(CrossSectionalZScore(clip=None), cross_sectional_zscore), (CrossSectionalRank(), cross_sectional_rank)],
)
def test_daily_scalings_are_cross_sections_of_listed_assets(scaling, function):
    panel = feature_panel()
    scaled = scaling.fit(panel, TRAIN).transform(panel).values
    hidden = np.where(known_cells(panel), panel.values, np.nan)
    for f in (0, 3, 11):
        np.testing.assert_array_equal(scaled[:, :, f], np.nan_to_num(function(hidden[:, :, f])))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 70))
def test_trailing_zscore_agrees_with_pandas(seed, window, days):
    panel = feature_panel(seed, days=days, width=5)
    scaled = TrailingZScore(window, clip=None).fit(panel, TRAIN).transform(panel).values
    known = known_cells(panel)
    for f in (0, 1, 2, 4):
        frame = pd.DataFrame(np.where(known[:, :, f], panel.values[:, :, f], np.nan).astype(float))
        rolling = frame.rolling(window, min_periods=1)
        enough = (rolling.count() >= 2).to_numpy() & known[:, :, f]
        enough &= (rolling.std(ddof=0) > CONSTANT * rolling.mean().abs()).to_numpy()  # less is rounding
        expected = ((frame - rolling.mean()) / rolling.std(ddof=0).where(enough)).to_numpy()
        np.testing.assert_allclose(scaled[:, :, f], np.where(enough, expected, 0), rtol=1e-4, atol=1e-4)


def test_an_outlier_leaves_no_trace_once_outside_the_window():
    panel = feature_panel(width=2)
    spoilt = panel.values.copy()
    spoilt[20, :, 0] = 1e30
    scaler = TrailingZScore(window=7).fit(panel, TRAIN)
    plain, after = (scaler.transform(replace(panel, values=v)).values for v in (panel.values, spoilt))
    np.testing.assert_array_equal(plain[27:], after[27:])
    assert (plain[21:27, 0, 0] != after[21:27, 0, 0]).any()


def test_rounding_is_no_spread():
    panel = feature_panel(width=1)
    values = np.full(panel.shape, 1, np.float32)
    values[::2] = np.nextafter(np.float32(1), np.float32(2))
    assert (TrailingZScore(window=7).fit(panel, TRAIN).transform(replace(panel, values=values)).values == 0).all()


def test_wrong_settings_are_refused():
    panel = feature_panel()
    with pytest.raises(ValueError, match="clip is 0, expected a positive number"):
        RobustZScore(clip=0)
    with pytest.raises(ValueError, match="clip is nan"):
        CrossSectionalZScore(clip=np.nan)
    with pytest.raises(ValueError, match="window is 1 days, expected at least 2"):
        TrailingZScore(window=1)
    with pytest.raises(ValueError, match="no asset is listed in rows 70 to 80"):
        RobustZScore().fit(panel, slice(70, 80))
    with pytest.raises(ValueError, match=r"array 'scale' has shape None, expected \(19,\)"):
        RobustZScore().restore(panel.fields, {"centre": np.zeros(19)})
    with pytest.raises(ValueError, match=r"array 'centre' has shape \(3,\)"):
        RobustZScore().restore(panel.fields, {"centre": np.zeros(3), "scale": np.zeros(3)})
