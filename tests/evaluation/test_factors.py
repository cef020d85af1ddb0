"""Measures of factors by closed form, by the textbook's formula, and by what they must forgive."""

import numpy as np
import pytest
from scipy import linalg, stats

from evaluation.factors import (
    Sample,
    canonical_correlations,
    congruence,
    correlation_distance,
    correlation_matrix,
    correlations,
    explained_variance,
    mapped_correlations,
    match_factors,
    moments,
    reconstruction,
    regression,
    rotation,
)

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


def test_order_and_sign_are_forgiven_and_found() -> None:
    known = normal(400, 3)
    learnt = np.stack([-known[:, 2], known[:, 0], normal(400), 5 * known[:, 1] + 1], axis=1)
    match = match_factors(learnt, known)
    assert match.order.tolist() == [1, 3, 0]
    np.testing.assert_allclose(match.correlation, [1, 1, -1])
    np.testing.assert_allclose(match.aligned(learnt)[:, [0, 2]], known[:, [0, 2]])
    assert match.matrix.shape == (4, 3)


def test_the_assignment_is_the_best_and_not_the_greedy_one() -> None:
    """Greedily .7 would be taken first and leave .1; .65 and .6 together are more."""
    known = normal(500, 4)
    known = np.linalg.qr(known - known.mean(axis=0))[0]
    mixing = np.array([[0.7, 0.65], [0.6, 0.1]])
    rest = np.sqrt(1 - np.square(mixing).sum(axis=1))
    learnt = known[:, :2] @ mixing.T + known[:, 2:] * rest
    match = match_factors(learnt, known[:, :2])
    np.testing.assert_allclose(match.matrix, mixing, atol=1e-12)
    assert match.order.tolist() == [1, 0]


def test_too_few_learnt_factors_leave_known_ones_without() -> None:
    known = normal(200, 3)
    match = match_factors(known[:, 1:2], known)
    assert match.order.tolist() == [-1, 0, -1]
    assert np.isnan(match.correlation[[0, 2]]).all()
    assert np.isnan(match.aligned(known[:, 1:2])[:, 0]).all()


def test_correlations_are_numpy_s_and_forgive_unknown_days() -> None:
    one, other = normal(100, 2), normal(100, 3)
    expected = np.corrcoef(one[10:].T, other[10:].T)[:2, 2:]
    one[:10, 1] = np.nan
    np.testing.assert_allclose(correlations(one, other), expected)
    one[:, 0] = 3.0
    assert np.isnan(correlations(one, other)[0]).all()
    assert np.isnan(correlations(np.full((4, 1), np.nan), np.ones((4, 1)))).all()


def test_a_rotation_is_forgiven_by_rotation_and_not_by_matching() -> None:
    known = normal(5000, 3)
    angle = linalg.expm(np.array([[0, 0.8, 0.5], [-0.8, 0, 0.7], [-0.5, -0.7, 0]]))
    learnt = known @ angle * 2.0 + 0.3
    assert np.abs(match_factors(learnt, known).correlation).min() < 0.85
    found = mapped_correlations(learnt, known, rotation(learnt, known))
    assert (found > 0.999).all()
    squeezed = learnt * [1.0, 3.0, 0.2]
    assert (mapped_correlations(squeezed, known, regression(squeezed, known)) > 0.999).all()


def test_a_rotation_turns_and_no_more() -> None:
    learnt, known = normal(300, 4), normal(300, 4)
    found = rotation(learnt, known)
    turned = (learnt - learnt.mean(axis=0)) @ found
    np.testing.assert_allclose(turned.T @ turned / 300, np.eye(4), atol=1e-10)


def test_regression_is_least_squares() -> None:
    learnt, known = normal(200, 3), normal(200, 2)
    design = np.column_stack([np.ones(200), learnt])
    expected = np.linalg.lstsq(design, known, rcond=None)[0][1:]
    np.testing.assert_allclose(regression(learnt, known), expected, rtol=1e-9)


def test_a_factor_that_collapsed_is_left_out() -> None:
    known = normal(300, 2)
    learnt = np.column_stack([known, np.zeros(300)])
    for estimate in (rotation, regression):
        np.testing.assert_allclose(mapped_correlations(learnt, known, estimate(learnt, known)), 1.0, atol=1e-2)
    np.testing.assert_allclose(canonical_correlations(learnt, known), 1.0)


def test_canonical_correlations_are_those_of_the_eigenvalue_problem() -> None:
    left, right = normal(400, 3), normal(400, 2)
    left[:, 0] += right[:, 1]
    joint = np.cov(np.column_stack([left, right]).T)
    a, b, c = joint[:3, :3], joint[3:, 3:], joint[:3, 3:]
    values = linalg.eigvals(np.linalg.solve(b, c.T) @ np.linalg.solve(a, c)).real
    np.testing.assert_allclose(canonical_correlations(left, right), np.sqrt(np.sort(values)[::-1]), rtol=1e-9)


def test_congruence_is_the_cosine() -> None:
    one = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    other = np.array([[-3.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(congruence(one, other), [-1.0, np.sqrt(0.5), np.nan])


def test_principal_components_explain_the_shares_of_their_eigenvalues() -> None:
    returns = normal(500, 6) @ normal(6, 6)
    returns -= returns.mean(axis=0)
    values, axes = np.linalg.eigh(returns.T @ returns)
    factors = returns @ axes[:, ::-1][:, :3]
    found = explained_variance(Sample(factors, returns), Sample(factors, returns))
    shares = values[::-1][:3] / values.sum()
    np.testing.assert_allclose(found.each, shares)
    assert found.together == pytest.approx(shares.sum())


def test_noise_explains_nothing_on_other_days() -> None:
    factors, returns = normal(400, 3), normal(400, 5)
    fit, evaluated = Sample(factors[:200], returns[:200]), Sample(factors[200:], returns[200:])
    assert explained_variance(fit, fit).together > 0
    assert explained_variance(fit, evaluated).together < 0
    assert np.isnan(explained_variance(fit, Sample(factors[:0], returns[:0])).together)


def test_unknown_returns_are_left_out_asset_by_asset() -> None:
    factors = normal(300, 1)
    returns = np.column_stack([2 * factors[:, 0], normal(300)])
    whole = explained_variance(Sample(factors, returns[:, :1]), Sample(factors, returns[:, :1]))
    returns[:, 1] = np.nan
    assert explained_variance(Sample(factors, returns), Sample(factors, returns)).together == whole.together == 1.0


def test_reconstruction_by_hand() -> None:
    standard = np.array([[1.0, 2.0], [3.0, np.nan]])
    rebuilt = np.array([[0.0, 1.0], [3.0, 5.0]])
    found = reconstruction(standard, rebuilt)
    assert found.share == pytest.approx(1 - 2 / 14)
    np.testing.assert_allclose(found.by_asset, [1 - 1 / 10, 1 - 1 / 4])
    assert found.error == pytest.approx(2 / 3)
    assert reconstruction(standard, np.zeros((2, 2))).share == 0.0


def test_moments_are_scipy_s_and_tails_are_losses() -> None:
    series = stats.t(4).rvs(20_000, random_state=1)
    found = moments(np.append(series, np.nan))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(series))
    assert found["skew"] == pytest.approx(stats.skew(series))
    assert found["var_99"] == pytest.approx(-np.quantile(series, 0.01))
    assert found["var_95"] == pytest.approx(-stats.t(4).ppf(0.05), rel=0.05)
    assert found["es_99"] == pytest.approx(-series[np.argsort(series)[:200]].mean())
    assert found["es_99"] > found["var_99"] > found["var_95"] > 0
    assert all(np.isnan(value) for value in moments(np.zeros(50)).values())


def test_moments_of_a_scaled_series_scale() -> None:
    series = normal(500)
    one, ten = moments(series), moments(10 * series)
    for name in ("skew", "kurtosis"):
        assert ten[name] == pytest.approx(one[name])
    for name in ("std", "var_99", "es_99", "q95"):
        assert ten[name] == pytest.approx(10 * one[name])


def test_correlation_matrix_is_numpy_s_and_pandas_where_days_are_missing() -> None:
    import pandas as pd

    returns = normal(200, 4) @ normal(4, 4)
    np.testing.assert_allclose(correlation_matrix(returns), np.corrcoef(returns.T))
    returns[:50, 1], returns[30:90, 2] = np.nan, np.nan
    np.testing.assert_allclose(correlation_matrix(returns), pd.DataFrame(returns).corr(), atol=1e-12)
    returns[:, 3] = np.nan
    assert np.isnan(correlation_matrix(returns)[3]).all()


def test_correlation_distance_by_hand() -> None:
    one, other = np.eye(3), np.eye(3)
    other[0, 1] = other[1, 0] = 0.6
    assert correlation_distance(one, other) == pytest.approx(np.sqrt(0.36 / 3))
    other[0, 2] = other[2, 0] = np.nan
    assert correlation_distance(one, other) == pytest.approx(np.sqrt(0.36 / 2))
    assert np.isnan(correlation_distance(np.full((2, 2), np.nan), np.eye(2)))
