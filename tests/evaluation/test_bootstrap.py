import numpy as np
import pytest

from benchmarks.coverage import RETURNS, sharpe_coverage, worthless_rank_ic
from evaluation.bootstrap import (
    block_days,
    bootstrap_draws,
    bootstrap_interval,
    overlapping_block,
    studentised_block,
)
from evaluation.moments import FORMS, form_of
from evaluation.performance import (
    annual_return,
    annual_volatility,
    cumulative_return,
    final_wealth,
    sharpe_ratio,
    sortino_ratio,
)


def autoregressive(rng, n_series, n_days, phi):
    noise = rng.normal(size=(n_series, n_days + 50))
    series = np.zeros_like(noise)
    for day in range(1, noise.shape[1]):
        series[:, day] = phi * series[:, day - 1] + noise[:, day]
    return series[:, 50:]


@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_the_interval_of_a_mean_covers_at_the_nominal_rate(phi):
    simulated = autoregressive(np.random.default_rng(7), 200, 400, phi) + 0.3
    covered = 0
    for seed, series in enumerate(simulated):
        low, high = bootstrap_interval(np.mean, series, confidence=0.9, n_draws=300, seed=seed)
        covered += low <= 0.3 <= high
    assert 0.84 <= covered / len(simulated) <= 0.96  # 0.9, give or take three standard errors


def test_dependence_widens_the_interval():
    series = autoregressive(np.random.default_rng(3), 1, 1000, 0.7)[0]
    shuffled = np.random.default_rng(0).permutation(series)
    (low, high), (narrow_low, narrow_high) = (bootstrap_interval(np.mean, one) for one in (series, shuffled))
    assert high - low > 1.5 * (narrow_high - narrow_low)
    assert block_days(series) > block_days(shuffled)


def test_equal_seeds_draw_equally_and_series_are_drawn_together():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 100))
    draws = bootstrap_draws(lambda x, y: float((x - y).mean()), first, second, n_draws=20, seed=4)
    again = bootstrap_draws(lambda x, y: float((x - y).mean()), first, second, n_draws=20, seed=4)
    np.testing.assert_array_equal(draws, again)
    assert (draws != bootstrap_draws(lambda x, y: float((x - y).mean()), first, second, n_draws=20, seed=5)).all()
    same = bootstrap_draws(lambda x, y: float(np.abs(x - y).max()), first, first.copy(), n_draws=20)
    np.testing.assert_array_equal(same, 0)


def test_blocks_are_as_long_as_asked_for():
    series = np.random.default_rng(2).normal(size=500)
    place = {value: day for day, value in enumerate(series)}

    def joined(drawn):  # how often a day is followed by the day after it
        days = np.array([place[value] for value in drawn])
        return float((np.diff(days) % len(series) == 1).mean())

    for block in (2, 10):
        share = bootstrap_draws(joined, series, n_draws=200, min_block=block).mean()
        assert share == pytest.approx(1 - 1 / block, abs=0.02)


def test_no_interval_where_there_is_nothing_to_learn_from():
    assert bootstrap_interval(np.mean, np.arange(19.0)) is None
    assert bootstrap_interval(np.mean, np.arange(20.0)) is not None
    assert bootstrap_interval(lambda x: float("nan"), np.arange(30.0)) is None
    assert bootstrap_interval(np.mean, np.ones(30)) == [1.0, 1.0]


def test_undefined_draws_are_left_out():
    series = np.random.default_rng(0).normal(size=50)
    interval = bootstrap_interval(lambda x: float(x.mean()) if x[0] > -1 else float("inf"), series)
    assert np.isfinite(interval).all()


def test_a_confidence_outside_zero_to_one_is_refused():
    with pytest.raises(ValueError, match="confidence is 95, expected a number between 0 and 1"):
        bootstrap_interval(np.mean, np.arange(30.0), confidence=95)


def test_a_smooth_measure_has_a_studentised_interval_and_any_other_one_of_percentiles():
    series = 0.01 * np.random.default_rng(0).standard_t(4, size=60) + 0.001
    for measure in (sharpe_ratio, annual_return, annual_volatility, sortino_ratio, final_wealth):
        smooth = bootstrap_interval(measure, series)
        plain = bootstrap_interval(lambda x, measure=measure: measure(x), series)
        assert smooth[0] < measure(series) < smooth[1]
        assert 0.5 < (smooth[1] - smooth[0]) / (plain[1] - plain[0]) < 2.5
    assert bootstrap_interval(final_wealth, series)[0] > 0, "a wealth is positive, however wide the interval"
    assert bootstrap_interval(annual_return, 0.2 * series / series.std())[0] >= -1


def test_the_form_of_a_measure_is_the_measure():
    returns = 0.01 * np.random.default_rng(1).standard_t(4, size=300) + 0.001
    for statistic in FORMS:
        form = form_of(statistic, 52.0)
        value = form.measure(form.value(form.columns(returns).mean(axis=0), 300), 300)
        yearly = statistic not in (np.mean, cumulative_return, final_wealth)
        assert value == pytest.approx(statistic(returns, **({"periods_per_year": 52.0} if yearly else {})), rel=1e-9)


def test_the_gradient_of_a_form_is_that_of_its_formula():
    form = form_of(sharpe_ratio, 252.0)
    means = np.array([0.001, 0.0001])
    variance = (means[1] - means[0] ** 2) * 500 / 499
    by_hand = np.sqrt(252) * np.array([1 / np.sqrt(variance) + means[0] ** 2 * 500 / 499 / variance**1.5,
                                       -means[0] / 2 * 500 / 499 / variance**1.5])  # fmt: skip
    np.testing.assert_allclose(form.gradient(means, np.array([0.01, 0.0002]), 500), by_hand, rtol=1e-5)


@pytest.mark.parametrize(("horizon", "days"), [(5, 250), (20, 504)])
def test_the_interval_of_overlapping_returns_covers_at_the_nominal_rate(horizon, days):
    rng, held = np.random.default_rng(horizon), 0
    for seed in range(200):
        one = worthless_rank_ic(rng, days, horizon)
        low, high = bootstrap_interval(np.mean, one, n_draws=300, min_block=overlapping_block(horizon), seed=seed)
        held += low <= 0 <= high
    assert held / 200 >= 0.905  # 0.95 less three standard errors; 0.87 with percentiles of blocks of one horizon


def test_the_overlap_of_labels_is_the_floor_of_blocks():
    noise = np.random.default_rng(0).normal(size=(504, 1))
    assert studentised_block(noise) < 10
    assert [studentised_block(noise, overlapping_block(horizon)) for horizon in (5, 20)] == [10, 40]
    assert studentised_block(noise[:100], overlapping_block(20)) == 20, "five blocks are left"


@pytest.mark.slow
@pytest.mark.parametrize("years", [3, 10])
@pytest.mark.parametrize("law", ["AR(1), .2", "GARCH(1, 1), t with 5"])
def test_the_interval_of_a_sharpe_ratio_covers_under_dependence(law, years):
    found = sharpe_coverage(np.random.default_rng(years), RETURNS[law], years, 1.0, 250)
    assert found >= 0.92  # 0.93 to 0.96 here; 0.90 with percentiles, or with blocks of one day


@pytest.mark.parametrize("moves", [1, 3, 10])
@pytest.mark.parametrize("days", [20, 39, 400])
def test_a_series_that_hardly_moves_has_a_sane_interval_or_none(moves, days):
    series = np.zeros(days)
    series[np.linspace(0, days - 1, moves).astype(int)] = 0.3
    for measure in (sharpe_ratio, annual_return, annual_volatility, sortino_ratio, final_wealth, np.mean):
        found = bootstrap_interval(measure, series)
        assert found is None or (np.isfinite(found).all() and found[0] <= found[1])


def test_a_series_with_a_hole_is_refused():
    series = np.random.default_rng(0).normal(size=50)
    series[7] = np.nan
    with pytest.raises(ValueError, match="day 7 of the series is nan"):
        bootstrap_interval(np.mean, series)
