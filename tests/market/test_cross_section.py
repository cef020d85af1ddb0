import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from market.scaling.cross_section import (
    average_ranks,
    cross_sectional_rank,
    cross_sectional_zscore,
    quantile_classes,
    write_zscores,
)

cells = st.one_of(
    st.integers(-5, 5).map(float), st.floats(-1e6, 1e6), st.just(np.nan), st.sampled_from([np.inf, -np.inf])
)
tables = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=cells)


@given(tables)
def test_average_ranks_agree_with_scipy(values):
    rank, count = average_ranks(values)
    known = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_array_equal(rank, stats.rankdata(known, axis=1, nan_policy="omit"))
    np.testing.assert_array_equal(count[:, 0], np.isfinite(values).sum(1))


@given(tables, st.permutations(range(9)))
def test_ranks_are_centred_and_follow_the_assets(values, order):
    rank = cross_sectional_rank(values)
    np.testing.assert_allclose(np.nansum(rank, axis=1), 0, atol=1e-12)
    assert (np.isnan(rank) == ~np.isfinite(values)).all()
    order = [k for k in order if k < values.shape[1]]
    np.testing.assert_array_equal(cross_sectional_rank(values[:, order]), rank[:, order])


def test_rank_by_hand():
    rank = cross_sectional_rank(np.array([[3.0, 1.0, np.nan, 1.0], [np.nan, 7.0, np.nan, np.nan]]))
    np.testing.assert_allclose(rank[0], np.array([1, -0.5, np.nan, -0.5]) / 3 * np.sqrt(12))
    np.testing.assert_array_equal(rank[1], [np.nan, 0, np.nan, np.nan])


def test_rank_has_unit_spread_and_ignores_monotone_maps():
    values = np.random.default_rng(0).normal(size=(3, 200))
    rank = cross_sectional_rank(values)
    np.testing.assert_allclose(rank.std(1), np.sqrt(1 - 1 / 200**2))
    np.testing.assert_array_equal(cross_sectional_rank(np.exp(values)), rank)
    assert cross_sectional_rank(values.astype(np.float32)).dtype == np.float32


@given(tables)
def test_zscore_agrees_with_scipy(values):
    scored = cross_sectional_zscore(values)
    for row, got in zip(values, scored, strict=True):
        known = np.isfinite(row)
        assert np.isnan(got[~known]).all()
        spread = row[known].std() if known.any() else 0.0
        if known.any() and spread > 1e-3 * abs(row[known].mean()):
            np.testing.assert_allclose(got[known], stats.zscore(row[known]), atol=1e-9)
        elif spread == 0:
            np.testing.assert_array_equal(got[known], 0)


def test_a_constant_row_scores_zero_despite_rounding():
    values = np.full((1, 7), 0.1)
    assert values.sum() / 7 != 0.1
    np.testing.assert_array_equal(cross_sectional_zscore(values), np.zeros((1, 7)))
    np.testing.assert_array_equal(cross_sectional_zscore(np.full((2, 3), 16777217, np.float32)), np.zeros((2, 3)))


def test_rows_do_not_mix():
    values = np.random.default_rng(1).normal(size=(5, 12))
    changed = values.copy()
    changed[3] = 100 * changed[3] ** 2
    for function in (cross_sectional_rank, cross_sectional_zscore, lambda x: quantile_classes(x, 4)):
        kept = np.arange(5) != 3
        np.testing.assert_array_equal(function(changed)[kept], function(values)[kept])


@given(tables, st.integers(2, 6))
def test_quantile_classes_are_ordered_and_even(values, n_classes):
    classes = quantile_classes(values, n_classes)
    assert ((classes == -1) == ~np.isfinite(values)).all()
    assert classes.max() < n_classes
    for row, label in zip(values, classes, strict=True):
        order = np.argsort(row[np.isfinite(row)])
        assert (np.diff(label[np.isfinite(row)][order]) >= 0).all()


def test_quantile_classes_by_hand():
    values = np.array([[5.0, 1.0, 3.0, 2.0, 4.0, np.nan, 6.0]])
    np.testing.assert_array_equal(quantile_classes(values, 3), [[2, 0, 1, 0, 1, -1, 2]])
    np.testing.assert_array_equal(quantile_classes(np.array([[1.0, 1.0, 1.0, 9.0]]), 2), [[0, 0, 0, 1]])
    with pytest.raises(ValueError, match="n_classes is 1, expected at least 2"):
        quantile_classes(values, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [3.0, 0.7])
def test_zscores_that_are_written_are_those_that_are_returned_to_the_bit(dtype: type, limit: float) -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(1, 1, (60, 41, 23)) * 10.0 ** rng.integers(-6, 7, 23)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(values.shape) < 0.02] = np.inf
    values[:, :, 3], values[:, :, 4], values[7], values[8, 1:] = 5.1, -0.0, np.nan, np.nan
    listed = rng.random((60, 41)) < 0.8
    known = np.isfinite(values) & listed[:, :, None]
    expected = cross_sectional_zscore(np.where(known, values, np.nan), 1)
    expected = np.clip(np.nan_to_num(expected), -limit, limit).astype(np.float32)
    out = np.empty(values.shape, np.float32)
    write_zscores(values, listed, limit, out)
    np.testing.assert_array_equal(out, expected)
    assert (np.abs(out) == np.float32(limit)).any()
    if dtype is np.float32:
        write_zscores(values, listed, limit, values)  # over the values themselves
        np.testing.assert_array_equal(values, expected)
