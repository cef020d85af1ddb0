import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmarks.coverage import worthless_rank_ic
from evaluation.bootstrap import bootstrap_interval
from evaluation.prediction import (
    counted_cells,
    daily_ic,
    daily_rank_ic,
    newey_west_lags,
    newey_west_t,
    prediction_metrics,
    quantile_returns,
    quantile_spread,
    rank_ic_by_horizon,
    rank_ic_decay,
    suspiciously_stable,
    yearly_prediction,
)

SHAPE = (4, 7)
cells = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), st.sampled_from([np.nan, np.inf])
)
tables = arrays(np.float64, SHAPE, elements=cells)


@pytest.fixture
def market():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(300, 20))
    label = 0.02 * (0.1 * mean + rng.normal(size=mean.shape))
    mask = rng.random(mean.shape) < 0.9
    mean[rng.random(mean.shape) < 0.05] = np.nan
    label[rng.random(mean.shape) < 0.05] = np.nan
    return mean, label, mask


def by_scipy(correlation, mean, label, mask):
    """The daily coefficients, one day and one call at a time."""
    result = np.full(len(mean), np.nan)
    for day in range(len(mean)):
        kept = mask[day] & np.isfinite(mean[day]) & np.isfinite(label[day])
        x, y = mean[day][kept], label[day][kept]
        if kept.sum() >= 3 and np.ptp(x) > 0 and np.ptp(y) > 0:
            result[day] = correlation(x, y).statistic
    return result


@given(tables, tables, arrays(np.bool_, SHAPE))
def test_daily_coefficients_agree_with_scipy(mean, label, mask):
    np.testing.assert_allclose(
        daily_rank_ic(mean, label, mask), by_scipy(stats.spearmanr, mean, label, mask), atol=1e-12
    )
    np.testing.assert_allclose(daily_ic(mean, label, mask), by_scipy(stats.pearsonr, mean, label, mask), atol=1e-9)


def test_daily_coefficients_agree_with_scipy_on_many_days(market):
    mean, label, mask = market  # 300 days span two blocks
    np.testing.assert_allclose(daily_ic(*market), by_scipy(stats.pearsonr, mean, label, mask), atol=1e-12)
    np.testing.assert_allclose(daily_rank_ic(*market), by_scipy(stats.spearmanr, mean, label, mask), atol=1e-12)
    assert np.isfinite(daily_ic(*market)).all()


@given(tables, tables, arrays(np.bool_, SHAPE), st.permutations(range(SHAPE[1])))
def test_symmetries(mean, label, mask, order):
    rank_ic = daily_rank_ic(mean, label, mask)
    np.testing.assert_allclose(daily_rank_ic(-mean, label, mask), -rank_ic, atol=1e-12)
    np.testing.assert_allclose(daily_rank_ic(mean[:, order], label[:, order], mask[:, order]), rank_ic, atol=1e-12)
    scale_free = daily_ic(1e-200 * mean, label, mask)
    np.testing.assert_allclose(scale_free, daily_ic(mean, label, mask), atol=1e-9)


def test_days_that_cannot_count_are_undefined_and_counted():
    mean = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4], [0.1, 0.1, 0.1, 9], [1, 2, 3, 4], [1, 2, 3, 4]])
    label = np.array([[1.0, 2, 3, 0], [1, 2, np.nan, np.inf], [1, 2, 3, 4], [5, 5, 5, 5], [np.nan] * 4])
    mask = np.ones((5, 4), dtype=bool)
    mask[:3, 3] = False
    np.testing.assert_array_equal(np.isfinite(daily_rank_ic(mean, label, mask)), [True, False, False, False, False])
    metrics = prediction_metrics(mean, label, mask)
    assert (metrics["n_days"], metrics["n_days_left_out"], metrics["n_assets"]) == (1, 3, 3)
    assert metrics["ic"] == pytest.approx(1)
    undefined = ("icir", "rank_icir", "rank_ic_t", "rank_ic_ci")
    assert [metrics[name] for name in undefined] == [None] * 4


def test_metrics_by_hand(market):
    mean, label, mask = market
    metrics = prediction_metrics(mean, label, mask)
    ic = by_scipy(stats.pearsonr, mean, label, mask)
    rank_ic = by_scipy(stats.spearmanr, mean, label, mask)
    assert metrics["ic"] == pytest.approx(ic.mean(), rel=1e-12)
    assert metrics["icir"] == pytest.approx(ic.mean() / ic.std(ddof=1), rel=1e-12)
    assert metrics["rank_ic"] == pytest.approx(rank_ic.mean(), rel=1e-12)
    assert metrics["rank_icir"] == pytest.approx(rank_ic.mean() / rank_ic.std(ddof=1), rel=1e-12)
    low, high = metrics["rank_ic_ci"]
    assert low < metrics["rank_ic"] < high
    error = rank_ic.std(ddof=1) / np.sqrt(len(rank_ic))
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.2)
    assert (metrics["n_days"], metrics["n_assets"], metrics["suspicious"]) == (300, 20, False)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert prediction_metrics(mean, label, mask) == metrics
    assert prediction_metrics(mean, label, mask, seed=1)["rank_ic_ci"] != metrics["rank_ic_ci"]


def test_single_precision_and_masked_cells_change_nothing(market):
    mean, label, mask = market
    single = mean.astype(np.float32)
    hidden = np.where(mask, single, 1e30).astype(np.float32)
    assert prediction_metrics(hidden, label, mask) == prediction_metrics(single.astype(np.float64), label, mask)


def test_nothing_to_compare_is_undefined_not_zero():
    empty = np.full((5, 4), np.nan)
    metrics = prediction_metrics(empty, empty, np.ones((5, 4), dtype=bool))
    assert metrics["n_days"] == metrics["n_days_left_out"] == metrics["n_assets"] == 0
    assert all(metrics[name] is None for name in ("ic", "icir", "rank_ic", "rank_icir", "rank_ic_t", "rank_ic_ci"))
    constant = np.tile(np.arange(4.0), (30, 1))
    metrics = prediction_metrics(constant, constant, np.ones((30, 4), dtype=bool))
    assert metrics["rank_ic"] == pytest.approx(1)
    assert metrics["rank_icir"] is None


def test_shapes_that_differ_are_refused(market):
    mean, label, mask = market
    for function in (prediction_metrics, daily_ic, daily_rank_ic, counted_cells, quantile_returns):
        with pytest.raises(ValueError, match=r"mean is \(300, 20\), label \(299, 20\), mask \(300, 20\)"):
            function(mean, label[:-1], mask)
    with pytest.raises(ValueError, match="2 dates for 300 days"):
        yearly_prediction(mean, label, mask, np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"))


@pytest.mark.parametrize(
    ("n_days", "horizon", "lags"), [(50, 1, 15), (400, 1, 40), (400, 20, 80), (6, 20, 5), (3, 1, 2)]
)
def test_newey_west_agrees_with_statsmodels_but_for_its_bound(n_days, horizon, lags):
    rng = np.random.default_rng(n_days)
    series = 0.1 + np.convolve(rng.normal(size=n_days + 4), np.ones(5) / 5, mode="valid")
    fitted = sm.OLS(series, np.ones(n_days)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True, "kernel": "bartlett"}
    )
    assert newey_west_lags(n_days, horizon) == lags
    share = (lags + 1) / n_days
    bound = 1.96 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3  # Kiefer and Vogelsang (2005), table 1
    assert newey_west_t(series, horizon) == pytest.approx(fitted.tvalues[0] * 1.96 / bound, rel=1e-10)


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_worthless_forecasts_are_called_significant_in_one_of_twenty_cases(horizon):
    rng = np.random.default_rng(horizon)
    series = [worthless_rank_ic(rng, 400, horizon) for _ in range(300)]
    rejected = np.mean([abs(newey_west_t(one, horizon)) > 1.96 for one in series])
    assert rejected <= 0.09  # 0.05 and three standard errors; 0.12 with few lags and the bound of a normal law


def test_labels_that_overlap_have_intervals_of_blocks_longer_than_their_horizon(market):
    rank_ic = daily_rank_ic(*market)
    found = prediction_metrics(*market, horizon=20)["rank_ic_ci"]
    assert found == bootstrap_interval(np.mean, rank_ic, min_block=40)
    assert found != prediction_metrics(*market)["rank_ic_ci"]


def test_newey_west_is_undefined_without_spread():
    assert newey_west_t(np.array([0.3])) is None
    assert newey_west_t(np.full(50, 0.3)) is None


def sampled(rng, n_days, spread, n_assets=30, centre=0.03):
    return centre + spread / np.sqrt(n_assets - 1) * rng.normal(size=n_days), np.full(n_days, n_assets)


def test_suspicion():
    rng = np.random.default_rng(0)
    assert not suspiciously_stable(*sampled(rng, 750, 1.0))
    assert not suspiciously_stable(*sampled(rng, 750, 0.9))
    assert suspiciously_stable(*sampled(rng, 750, 0.6))
    assert suspiciously_stable(*sampled(rng, 750, 0.6, centre=-0.03))
    assert not suspiciously_stable(*sampled(rng, 4, 0.5)), "four days prove nothing"
    false_alarms = sum(suspiciously_stable(*sampled(rng, 10, 1.0)) for _ in range(300))
    assert false_alarms <= 12
    independent = [stats.spearmanr(*rng.normal(size=(2, 12))).statistic for _ in range(400)]
    assert not suspiciously_stable(np.array(independent), np.full(400, 12))
    smoothed = np.convolve(independent, np.ones(3) / 3, mode="valid")
    assert suspiciously_stable(smoothed, np.full(len(smoothed), 12))


def test_a_forecast_that_is_as_good_every_day_is_called_suspicious():
    label = np.random.default_rng(4).normal(size=(60, 20))
    ranks = label.argsort(axis=1).argsort(axis=1)
    everywhere = np.ones(label.shape, dtype=bool)
    found = prediction_metrics((ranks + 2) % 20, label, everywhere)  # some ranks exchanged, the same ones every day
    assert 0 < found["rank_ic"] < 0.5
    assert found["suspicious"]
    honest = 0.1 * label + np.random.default_rng(5).normal(size=label.shape)
    assert not prediction_metrics(honest, label, everywhere)["suspicious"]


def test_years(market):
    mean, label, mask = market
    dates = np.datetime64("2019-09-01") + np.arange(300)
    mask[200:] = False  # part of 2020
    table = yearly_prediction(mean, label, mask, dates)
    assert table.index.tolist() == [2019, 2020]
    in_2019 = dates < np.datetime64("2020-01-01")
    first = prediction_metrics(mean[in_2019], label[in_2019], mask[in_2019])
    for name in ("ic", "icir", "rank_ic", "rank_icir", "rank_ic_t", "n_days"):
        assert table.loc[2019, name] == pytest.approx(first[name])
    assert table["n_days"].tolist() == [122, 78]
    unknown = yearly_prediction(np.full_like(mean, np.nan), label, mask, dates)
    assert unknown[["ic", "icir", "rank_ic", "rank_icir", "rank_ic_t"]].isna().all(axis=None)
    assert (unknown["n_days"] == 0).all()


def test_quantiles_by_hand():
    mean = np.array([[6.0, 5, 4, 3, 2, 1, 9], [1, 2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 9, 9], [1, 2, np.nan, 4, 5, 6, 7]])
    label = np.array([[1.0, 2, 3, 4, 5, 6, np.nan], [1, 2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 4, 6], [3] * 7])
    mask = np.ones((4, 7), dtype=bool)
    mask[1, 6] = False
    mask[3, 3:] = False
    returns = quantile_returns(mean, label, mask, n_quantiles=3)
    np.testing.assert_allclose(returns[0], [5.5, 3.5, 1.5])
    np.testing.assert_allclose(returns[1], [1.5, 3.5, 5.5])
    np.testing.assert_allclose(returns[2], [np.nan, 1, 5])  # five equal forecasts lie in the middle together
    np.testing.assert_array_equal(returns[3], [np.nan] * 3)
    np.testing.assert_allclose(quantile_spread(mean, label, mask, 3), [-4, 4, np.nan, np.nan])


def test_decay_and_horizons():
    rng = np.random.default_rng(2)
    mean = rng.normal(size=(120, 15))
    mask = np.ones(mean.shape, dtype=bool)
    label = np.roll(mean, 3, axis=0)  # comes true three days late
    decay = rank_ic_decay(mean, label, mask, lags=(0, 3, 200))
    assert decay.loc[3, "rank_ic"] == pytest.approx(1)
    assert abs(decay.loc[0, "rank_ic"]) < 0.1
    assert decay["n_days"].tolist() == [120, 117, 0]
    assert np.isnan(decay.loc[200, "rank_ic"])
    noise = rng.normal(size=mean.shape)
    table = rank_ic_by_horizon(mean, {5: noise, 1: mean}, mask)
    assert table.index.tolist() == [1, 5]
    assert table.loc[1, "rank_ic"] == pytest.approx(1)
    assert table.loc[5, "rank_ic_t"] == pytest.approx(newey_west_t(daily_rank_ic(mean, noise, mask), 5))
