import json
from dataclasses import replace

import numpy as np
import pytest

from evaluation.backtest import Backtest
from evaluation.performance import performance, sharpe_ratio
from evaluation.policy_comparison import PolicyComparison, equal_capital, measured
from evaluation.significance import over_seeds, significance
from tests.evaluation.accounts import random_backtest
from tests.evaluation.comparisons import DATES, comparison, paper


@pytest.fixture(scope="module")
def played() -> PolicyComparison:
    return comparison(0.0, index=True)


@pytest.fixture(scope="module")
def metrics(played):
    return measured(played, trials=[0.4, None])


def test_equal_capital_is_the_mean_of_the_accounts() -> None:
    one, two = random_backtest(0), random_backtest(1)
    joined = equal_capital([one, two], "both")
    np.testing.assert_allclose(joined.wealth, (one.wealth + two.wealth) / 2, rtol=1e-12)
    np.testing.assert_allclose(joined.costs, (one.costs + two.costs) / 2)
    np.testing.assert_allclose(joined.weights.sum(axis=1), 1)
    assert performance(joined)["cost_paid"] == pytest.approx((one.costs.sum() + two.costs.sum()) / 2)
    # not the mean of the returns: the account that has grown weighs more
    assert abs(joined.returns - (one.returns + two.returns) / 2).max() > 1e-5
    start = np.stack([one.wealth[:-1], two.wealth[:-1]])
    expected = (start * np.stack([one.turnover, two.turnover])).sum(axis=0) / start.sum(axis=0)
    np.testing.assert_allclose(joined.turnover, expected)


def test_equal_capital_of_one_is_that_one_and_of_equals_is_each() -> None:
    one = random_backtest(3)
    assert equal_capital([one], "PPO").returns is one.returns
    same = equal_capital([one, one, one], "PPO")
    np.testing.assert_allclose(same.returns, one.returns, atol=1e-15)
    np.testing.assert_allclose(same.weights, one.weights)


def test_equal_capital_survives_the_ruin_of_a_seed_and_of_all() -> None:
    fine, ruined = np.full(30, 0.01), np.zeros(30)
    ruined[10] = -1.0
    joined = equal_capital([paper("a", fine), paper("b", ruined)], "both")
    assert joined.wealth[-1] == pytest.approx(1.01**30 / 2)
    gone = equal_capital([paper("a", ruined), paper("b", ruined)], "both")
    assert gone.wealth[-1] == 0
    assert np.isfinite(gone.returns).all()


def test_seeds_of_other_days_are_refused() -> None:
    one = random_backtest(0)
    with pytest.raises(ValueError, match="other days or assets"):
        equal_capital([one, replace(one, dates=one.dates + 1)], "PPO")
    with pytest.raises(ValueError, match="no seeds"):
        equal_capital([], "PPO")


def test_a_contest_over_different_days_is_refused(played) -> None:
    late = paper("late", np.zeros(len(DATES) - 1))
    with pytest.raises(ValueError, match=r"'late' trades .* compare the same days"):
        PolicyComparison(played.agents, (*played.policies, late))
    with pytest.raises(ValueError, match="nobody takes part"):
        PolicyComparison({}, played.policies)


def test_measures_are_those_of_the_library(played, metrics) -> None:
    worth = metrics["performance"]
    for one in (*played.policies, played.index):
        expected = performance(one)
        assert {key: worth[one.name][key] for key in expected} == expected
    joined = equal_capital(played.agents["PPO"], "PPO")
    assert worth["PPO"]["sharpe"] == sharpe_ratio(joined.returns)
    each = [sharpe_ratio(one.returns) for one in played.agents["PPO"]]
    expected = over_seeds(each)
    assert (worth["PPO"]["mean"]["sharpe"], worth["PPO"]["ci"]["sharpe"]) == (expected["mean"], expected["ci"])
    assert [worth["PPO"]["seeds"][f"seed_{k}"]["sharpe"] for k in range(3)] == each


def test_every_training_run_is_counted_and_none_of_the_classical_policies(played, metrics) -> None:
    assert metrics["performance"]["PPO"]["n_trials"] == 3 + 2
    assert metrics["performance"]["momentum"]["n_trials"] == 1
    fewer = measured(replace(played, by_cost={}))["performance"]["PPO"]
    assert fewer["n_trials"] == 3
    assert metrics["performance"]["PPO"]["deflated_sharpe"] < fewer["deflated_sharpe"]


def test_hindsight_takes_part_in_no_test(played, metrics) -> None:
    assert metrics["performance"][played.bound.name]["cheats"] is True
    assert played.bound.name not in metrics["comparisons"]["PPO"]
    # hindsight earns far more than anyone: had it been let in, the best of all could not be luck
    assert metrics["superior_predictive_ability"]["buy_and_hold"]["consistent"] > 0.05


def test_references_are_the_passive_policies_and_the_index(played, metrics) -> None:
    assert set(metrics["comparisons"]["PPO"]) == {"buy_and_hold", "equal_weight", "index"}
    assert metrics["performance"]["PPO"]["relative"]["beta"] == pytest.approx(1, abs=0.05)
    assert "relative" not in metrics["performance"]["index"]


def test_a_price_index_is_compared_with_what_the_agent_earned_without_dividends(played) -> None:
    dividends = np.full((len(DATES), 2), 0.025 / 252)
    known = replace(played, policies=played.policies[:2], bound=None, by_cost={}, dividends=dividends)
    rows = measured(known)["comparisons"]["PPO"]
    own = equal_capital(played.agents["PPO"], "PPO")
    held = np.concatenate([[0.0], 1 - own.weights[:-1, 0]])  # at the close before
    bare = sharpe_ratio(own.returns - held * 0.025 / 252) - sharpe_ratio(played.index.returns)
    assert rows["index"]["price_return"]["difference"] == pytest.approx(bare)
    assert bare < rows["index"]["sharpe"]["difference"]
    assert "price_return" not in rows["buy_and_hold"], "it has earned the same dividends"
    assert "price_return" not in measured(replace(known, index_return="total"))["comparisons"]["PPO"]["index"]


def test_annual_figures_count_the_periods_that_a_year_of_the_backtests_has(played) -> None:
    own, market = (replace(one, periods_per_year=52.0) for one in (played.agents["PPO"][0], played.policies[1]))
    metrics = measured(PolicyComparison({"PPO": (own,)}, (market,)))
    found, theirs = (metrics["performance"][name] for name in ("PPO", "buy_and_hold"))
    known = significance(own.returns, periods_per_year=52.0)
    assert {name: found[name] for name in known} == known
    assert found["sharpe"] == sharpe_ratio(own.returns, periods_per_year=52.0)
    gap = metrics["comparisons"]["PPO"]["buy_and_hold"]["sharpe"]["difference"]
    assert gap == pytest.approx(found["sharpe"] - theirs["sharpe"])


def test_costs_and_years_have_a_row_for_each(metrics) -> None:
    assert set(metrics["cost_sensitivity"]["PPO"]) == {"0", "10"}
    years = metrics["per_year"]["PPO"]
    assert [row["year"] for row in years] == [2018, 2019]
    growth = np.prod([1 + row["return"] for row in years])
    assert growth == pytest.approx(metrics["performance"]["PPO"]["final_wealth"])


def test_metrics_are_json_without_nan(metrics) -> None:
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_names_stand_in_order_agents_first() -> None:
    one = comparison(0.0)
    names = list(one.everyone)
    assert names[0] == "PPO"
    assert names[-1] == one.bound.name
    assert all(isinstance(path, Backtest) for path in one.everyone.values())
