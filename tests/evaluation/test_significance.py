import json
import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import passing
from evaluation.bootstrap import bootstrap_interval
from evaluation.deflation import (
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    sharpe_probability,
    trial_variance,
)
from evaluation.performance import annual_return, sharpe_ratio
from evaluation.significance import (
    compare,
    intervals,
    over_seeds,
    significance,
    superior_predictive_ability,
)


def daily(rng, n_days=500, sharpe=1.0, n_series=None):
    """Independent normal returns with a known annual Sharpe ratio."""
    shape = n_days if n_series is None else (n_series, n_days)
    return 0.01 * (sharpe / math.sqrt(252) + rng.normal(size=shape))


def test_the_worked_example_of_the_deflated_sharpe_ratio():
    """Bailey and Lopez de Prado (2014), section "A numerical example": 250 days a year there."""
    best = expected_best_sharpe(variance=0.5 / 250, n_trials=100)
    assert best == pytest.approx(0.1132, abs=5e-5)
    probability = sharpe_probability(2.5 / math.sqrt(250), best, n_days=1250, skew=-3, kurt=10)
    assert probability == pytest.approx(0.9004, abs=5e-5)
    assert expected_best_sharpe(0.5 / 250, n_trials=46) < best


def test_the_expected_best_of_worthless_trials_agrees_with_simulation():
    simulated = np.random.default_rng(0).normal(scale=0.3, size=(20_000, 50)).max(axis=1).mean()
    assert expected_best_sharpe(0.09, 50) == pytest.approx(simulated, rel=0.02)
    assert expected_best_sharpe(0.09, 1) == 0
    with pytest.raises(ValueError, match="n_trials is 0"):
        expected_best_sharpe(0.09, 0)


def test_the_probabilistic_sharpe_ratio_is_uniform_where_nothing_is_earned():
    simulated = daily(np.random.default_rng(1), 250, 0.0, n_series=400)
    probabilities = [probabilistic_sharpe(returns) for returns in simulated]
    assert stats.kstest(probabilities, "uniform").pvalue > 0.01


def test_probabilistic_and_deflated_sharpe_are_ordered():
    returns = daily(np.random.default_rng(2), sharpe=2.0)
    own = sharpe_ratio(returns)
    plain = probabilistic_sharpe(returns)
    assert probabilistic_sharpe(returns, own) == pytest.approx(0.5)
    assert probabilistic_sharpe(returns, 0.5) < plain
    assert deflated_sharpe(returns, [own]) == plain
    few, many = [own, 0.1, -0.3], [own, 0.1, -0.3] * 10
    assert deflated_sharpe(returns, many) < deflated_sharpe(returns, few) < plain
    assert deflated_sharpe(returns, [*few, None, float("nan")]) < deflated_sharpe(returns, few)
    assert deflated_sharpe(np.zeros(50), [0.3]) is None
    with pytest.raises(ValueError, match="trials is empty"):
        deflated_sharpe(returns, [])


def test_a_negative_skew_lowers_the_probability():
    rng = np.random.default_rng(3)
    gains = rng.exponential(size=2000) - 1
    left, right = (0.0005 + 0.01 * side * gains for side in (-1, 1))
    left += (sharpe_ratio(right) * left.std(ddof=1) / math.sqrt(252)) - left.mean()
    assert sharpe_ratio(left) == pytest.approx(sharpe_ratio(right))
    assert probabilistic_sharpe(left) < probabilistic_sharpe(right)


def test_the_sharpe_interval_covers_at_the_nominal_rate():
    covered = 0
    for seed, returns in enumerate(daily(np.random.default_rng(4), 400, 1.0, n_series=150)):
        low, high = bootstrap_interval(sharpe_ratio, returns, confidence=0.9, n_draws=300, seed=seed)
        covered += low <= 1.0 <= high
    assert 0.82 <= covered / 150 <= 0.97


def test_the_interval_of_a_difference_covers_and_is_narrower_than_two():
    rng = np.random.default_rng(5)
    covered, significant = 0, 0
    for seed in range(150):
        market, own, other = daily(rng, 400, 1.0), 0.2 * daily(rng, 400, 0.0), 0.2 * daily(rng, 400, 0.0)
        result = compare(market + own, market + other, np.mean, confidence=0.9, n_draws=300, seed=seed)
        covered += result.interval[0] <= 0 <= result.interval[1]
        significant += result.p_value < 0.1
    assert 0.82 <= covered / 150 <= 0.97
    assert 0.03 <= significant / 150 <= 0.18
    alone = intervals(market + own)["sharpe_ci"]
    together = compare(market + own, market + other).interval
    assert together[1] - together[0] < 0.5 * (alone[1] - alone[0])


def test_comparison_finds_a_difference_and_turns_with_its_arguments():
    rng = np.random.default_rng(6)
    market = daily(rng, 800, 0.5)
    better = market + 0.0008 + 0.001 * rng.normal(size=800)
    result = compare(better, market)
    assert result.difference == pytest.approx(sharpe_ratio(better) - sharpe_ratio(market))
    assert result.interval[0] > 0
    assert result.p_value < 0.01
    swapped = compare(market, better)
    np.testing.assert_allclose(swapped.interval, [-result.interval[1], -result.interval[0]])
    assert (swapped.difference, swapped.p_value) == (-result.difference, result.p_value)
    same = compare(market, market, annual_return)
    assert (same.difference, same.interval, same.p_value) == (0, [0, 0], 1)
    assert compare(market[:10], better[:10]).interval is None
    assert compare(market, np.zeros(800)).difference is None
    with pytest.raises(ValueError, match="800 and 799 days"):
        compare(market, better[1:])


def test_superior_predictive_ability_has_its_size_and_finds_what_is_better():
    rng = np.random.default_rng(7)
    rejected = 0
    for seed in range(100):
        benchmark = daily(rng, 250, 0.5)
        worthless = {str(k): benchmark + 0.3 * daily(rng, 250, 0.0) for k in range(8)}
        rejected += superior_predictive_ability(worthless, benchmark, n_draws=200, seed=seed)["consistent"] < 0.1
    assert rejected <= 20
    worthless["good"] = benchmark + 0.0006 + 0.003 * rng.normal(size=250)
    found = superior_predictive_ability(worthless, benchmark)
    assert found["consistent"] < 0.05
    assert found["lower"] <= found["consistent"] <= found["upper"]
    assert superior_predictive_ability(worthless, benchmark) == found


def test_a_volatile_policy_does_not_hide_a_good_one():
    rng = np.random.default_rng(8)
    benchmark = daily(rng, 500, 0.5)
    policies = {
        "good": benchmark + 0.0006 + 0.003 * rng.normal(size=500),
        "wild": benchmark + 0.1 * rng.normal(size=500),
    }
    policies["wild"] -= policies["wild"].mean()
    assert superior_predictive_ability(policies, benchmark)["consistent"] < 0.05


def test_superior_predictive_ability_needs_days_and_differences():
    benchmark = daily(np.random.default_rng(9), 30)
    assert superior_predictive_ability({"same": benchmark}, benchmark) is None
    assert superior_predictive_ability({"other": benchmark[:19] * 2}, benchmark[:19]) is None
    with pytest.raises(ValueError, match="policy 'short' has 29 days, the benchmark 30"):
        superior_predictive_ability({"short": benchmark[1:]}, benchmark)


def test_intervals_over_seeds_agree_with_scipy():
    values = [0.3, 0.5, 0.1, 0.7]
    result = over_seeds(values, confidence=0.9)
    expected = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert result["mean"] == pytest.approx(0.4)
    np.testing.assert_allclose(result["ci"], expected)
    assert over_seeds([0.3]) == {"mean": 0.3, "ci": None, "n_seeds": 1}
    assert over_seeds([0.3, None]) == {"mean": None, "ci": None, "n_seeds": 2}
    assert over_seeds([0.3, float("nan")])["mean"] is None
    assert over_seeds([])["mean"] is None


def test_significance_is_ready_for_a_file():
    returns = daily(np.random.default_rng(10))
    table = significance(returns, trials=[sharpe_ratio(returns), 0.0, 1.0])
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert {"sharpe_ci", "annual_return_ci", "psr", "deflated_sharpe", "n_trials"} <= set(table)
    assert table["sharpe_ci"][0] < sharpe_ratio(returns) < table["sharpe_ci"][1]
    assert table["deflated_sharpe"] < table["psr"]
    assert significance(returns)["deflated_sharpe"] == table["psr"]
    assert significance(returns)["n_trials"] == 1
    flat = significance(np.zeros(100))
    assert (flat["sharpe_ci"], flat["psr"], flat["deflated_sharpe"]) == (None, None, None)


@pytest.mark.parametrize("trials", [10, 50, 500])
@pytest.mark.parametrize("known", [0.0, 0.1, 1.0])
def test_a_search_among_noise_seldom_ends_above_95_percent(trials, known):
    assert passing(np.random.default_rng(trials), trials, known, 3, 0.0, 400) <= 0.08  # 0.05 and nearly 3 errors


@pytest.mark.parametrize("trials", [10, 50, 500])
@pytest.mark.parametrize("known", [0.0, 0.1, 1.0])
def test_a_true_strategy_survives_the_count(trials, known):
    assert passing(np.random.default_rng(trials), trials, known, 10, 1.5, 200) >= 0.6


def test_unknown_trials_deflate_like_noise():
    returns = daily(np.random.default_rng(12), 756, sharpe=1.5)
    own = sharpe_ratio(returns)
    alone = deflated_sharpe(returns, [own])
    assert deflated_sharpe(returns, [None, own, None]) == pytest.approx(alone**3)
    assert deflated_sharpe(returns, [own, *[None] * 49]) == pytest.approx(alone**50)
    assert deflated_sharpe(returns, [own, *[own] * 49]) == pytest.approx(alone**50), "alike is no reason for less"


def test_trials_that_truly_differ_deflate_more():
    returns = daily(np.random.default_rng(13), 756, sharpe=1.5)
    own = sharpe_ratio(returns)
    wild = np.random.default_rng(0).normal(0, 3, 49).tolist()
    assert deflated_sharpe(returns, [own, *wild]) < deflated_sharpe(returns, [own, *[None] * 49])
    assert trial_variance(own, [own, *wild], 756) == pytest.approx(np.var(wild, ddof=1))
    assert trial_variance(own, [own, 0.1, -0.1], 756) == 252 / 755, "never below what chance makes them differ"


def test_every_measure_of_the_table_has_an_interval():
    returns = daily(np.random.default_rng(14), 500, sharpe=1.0)
    found = significance(returns)
    for name in ("sharpe", "annual_return", "annual_volatility", "sortino", "final_wealth", "max_drawdown", "calmar"):
        low, high = found[f"{name}_ci"]
        assert low < high, name
    weekly = significance(returns, periods_per_year=52.0)
    np.testing.assert_allclose(weekly["sharpe_ci"], np.array(found["sharpe_ci"]) * math.sqrt(52 / 252), rtol=1e-6)
    assert weekly["psr"] == pytest.approx(found["psr"]), "a probability has no period"


def test_a_measure_that_is_undefined_has_no_interval():
    wealth = np.cumprod(np.full(490, 1 + 1e-4))  # cash that earns interest: what little it varies is rounding
    cash = wealth[1:] / wealth[:-1] - 1
    found = intervals(cash)
    assert math.isnan(sharpe_ratio(cash))
    assert found["sharpe_ci"] is None
    assert found["annual_return_ci"] == pytest.approx([annual_return(cash)] * 2)
