import numpy as np
import pytest

from evaluation.bootstrap import block_days, bootstrap_draws, bootstrap_interval


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
