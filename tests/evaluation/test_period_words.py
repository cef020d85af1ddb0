"""Every page and table says how long a bar is, and counts a year in bars of that length."""

from dataclasses import replace

import pytest

from envs import Costs, MarketRules
from evaluation.encoder_comparison import Forecaster, measured
from evaluation.formats import bar_name
from evaluation.performance import performance
from evaluation.policy_comparison import equal_capital
from evaluation.reports.encoders import report
from evaluation.reports.tables import seeds_table, trading_table
from evaluation.significance import intervals, significance
from evaluation.terms import terms
from tests.evaluation.test_forecasters import forecaster, path

LENGTHS = [(252.0, "day"), (365.0, "day"), (52.0, "week"), (12.0, "month"), (4.0, "quarter"), (1.0, "year")]


def weekly(name: str, skill: float) -> Forecaster:
    one = forecaster(name, skill)
    seeds = [
        replace(run, paths={"top-k": replace(path(k), periods_per_year=52.0)})
        for k, run in enumerate(one.seeds, len(name))
    ]
    return Forecaster(name, tuple(seeds))


@pytest.mark.parametrize(("periods", "name"), LENGTHS)
def test_a_bar_is_called_by_its_length(periods: float, name: str) -> None:
    assert bar_name(periods) == name
    assert f"a bar is a {name}" in dict(terms(MarketRules("close", Costs(), None, 0.0, periods)))["bars a year"]


def test_encoders_on_weeks_are_measured_and_compared_in_years_of_weeks() -> None:
    own, other = weekly("one", 0.2), weekly("other", 0.1)
    result = measured([own, other], "one", horizon=1)
    found = result["encoders"]["other"]["trading"]["top-k"]
    joined, rival = (equal_capital([run.paths["top-k"] for run in one.seeds], one.name) for one in (other, own))
    assert found["periods_per_year"] == 52
    sharpe, rivals = performance(joined)["sharpe"], performance(rival)["sharpe"]
    assert found["against"]["difference"] == pytest.approx(sharpe - rivals)
    assert found["sharpe_ci"] == intervals(joined.returns, periods_per_year=52.0)["sharpe_ci"]
    page = report("Weeks", result, [own, other], ())
    assert "A bar is a week, and a year has 52 of them." in page
    assert "turnover a week" in page
    assert "turnover a day" not in page


def test_tables_of_policies_speak_of_weeks() -> None:
    account = replace(path(0), periods_per_year=52.0)
    one = performance(account) | significance(account.returns, periods_per_year=52.0)
    metrics = {"performance": {"one": one}, "comparisons": {}}
    shown = trading_table(metrics)
    assert "turnover a week" in shown
    assert "weeks in the market" in shown
    assert "weeks until all sold" in shown
    assert "day" not in shown
    seeds = {"seeds": {"a": one}, "mean": one, "ci": dict.fromkeys(one), "periods_per_year": 52.0}
    assert "turnover a week" in seeds_table(seeds)
