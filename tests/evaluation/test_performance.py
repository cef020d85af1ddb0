import json
from dataclasses import replace

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation import performance as measures
from evaluation.backtest import Backtest
from evaluation.performance import monthly_returns, performance, relative_performance, yearly_performance
from tests.evaluation.accounts import random_backtest, share_counting_backtest

NAN = float("nan")
series = arrays(np.float64, st.integers(2, 60), elements=st.floats(-0.3, 0.3).map(lambda x: round(x, 5)))

AGREEING = [
    (measures.cumulative_return, empyrical.cum_returns_final),
    (measures.annual_return, empyrical.annual_return),
    (measures.annual_volatility, empyrical.annual_volatility),
    (measures.sharpe_ratio, empyrical.sharpe_ratio),
    (measures.sortino_ratio, empyrical.sortino_ratio),
    (measures.max_drawdown, empyrical.max_drawdown),
    (measures.calmar_ratio, empyrical.calmar_ratio),
    (measures.value_at_risk, empyrical.value_at_risk),
    (measures.expected_shortfall, empyrical.conditional_value_at_risk),
]


def daily(seed=0, n_days=700, mean=0.0005):
    return mean + 0.01 * np.random.default_rng(seed).standard_t(4, size=n_days)


@pytest.mark.parametrize(("ours", "theirs"), AGREEING)
@pytest.mark.parametrize(
    "returns", [daily(), daily(1, 30), daily(2, 2), np.array([-0.02]), np.abs(daily(3, 50)) + 1e-4, -np.abs(daily(4))]
)
def test_measures_agree_with_empyrical(ours, theirs, returns):
    expected = theirs(returns)
    expected = NAN if np.isinf(expected) else expected  # a ratio to no risk at all is undefined here
    assert ours(returns) == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)


@given(series)
def test_measures_agree_with_empyrical_on_any_returns(returns):
    if np.ptp(returns) > 1e-9 and (returns < -1e-9).any():
        for ours, theirs in AGREEING:  # a year's growth of three days is a power of 84, and so are the last digits
            assert ours(returns) == pytest.approx(theirs(returns), rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("risk_free", [0.0001, daily(9, 700, 0.0001)])
def test_ratios_take_a_risk_free_return(risk_free):
    returns = daily()
    assert measures.sharpe_ratio(returns, risk_free) == pytest.approx(empyrical.sharpe_ratio(returns - risk_free))
    assert measures.sortino_ratio(returns, risk_free) == pytest.approx(empyrical.sortino_ratio(returns - risk_free))


def test_by_hand():
    returns = np.array([-0.1, 0.2, -0.5, 0.0, 1.0])
    np.testing.assert_allclose(measures.wealth_path(returns), [1, 0.9, 1.08, 0.54, 0.54, 1.08])
    np.testing.assert_allclose(measures.drawdowns(returns), [0, -0.1, 0, -0.5, -0.5, 0], atol=1e-15)
    assert measures.max_drawdown(returns) == pytest.approx(-0.5)
    assert measures.longest_drawdown_days(returns) == 2
    assert measures.hit_rate(returns) == 0.5
    assert measures.max_drawdown(np.array([-0.3])) == pytest.approx(-0.3), "the start counts as a high"
    assert measures.annual_return(np.full(252, 0.001)) == pytest.approx(1.001**252 - 1)
    assert measures.annual_return(np.array([0.1, -1.0])) == -1
    assert measures.annual_return(np.array([0.1, -1.5, 0, 0, 0])) == -1, "a debt is no growth to a power"


def test_scale_laws():
    returns = daily()
    assert measures.sharpe_ratio(3 * returns) == pytest.approx(measures.sharpe_ratio(returns))
    assert measures.sharpe_ratio(-returns) == pytest.approx(-measures.sharpe_ratio(returns))
    assert measures.annual_volatility(3 * returns) == pytest.approx(3 * measures.annual_volatility(returns))
    assert measures.sharpe_ratio(np.tile(returns, 50)) == pytest.approx(measures.sharpe_ratio(returns), rel=1e-3)
    assert measures.annual_return(np.tile(returns, 3)) == pytest.approx(measures.annual_return(returns))
    assert measures.kurtosis(np.random.default_rng(0).normal(size=100_000)) == pytest.approx(3, abs=0.1)
    assert measures.skewness(np.random.default_rng(0).exponential(size=100_000)) == pytest.approx(2, abs=0.1)


CONSTANT = replace(
    random_backtest(), returns=np.full(60, 0.1 * 3e-3), trades=np.zeros((60, 3)), profits=np.zeros((60, 3))
)


@pytest.mark.parametrize("name", ["sharpe", "sortino", "calmar", "skewness", "kurtosis"])
def test_what_is_undefined_is_none(name):
    assert performance(CONSTANT)[name] is None


def test_nothing_held_is_none_and_not_nan():
    cash = share_counting_backtest(np.ones((4, 2)), np.zeros((3, 2)), fee=0.1)
    table = performance(cash)
    undefined = {name for name, value in table.items() if value is None}
    assert undefined == {
        "sharpe", "sortino", "calmar", "hit_rate", "skewness", "kurtosis", "average_holding_days", "win_rate",
        "profit_factor",
    }  # fmt: skip
    assert table["annual_return"] == table["max_drawdown"] == table["turnover"] == table["n_trades"] == 0
    one_day = performance(share_counting_backtest(np.ones((2, 2)), np.full((1, 2), 0.5), fee=0.1))
    assert one_day["annual_volatility"] is None
    assert one_day["sharpe"] is None
    for empty in (measures.annual_return, measures.annual_volatility, measures.value_at_risk, measures.sharpe_ratio):
        assert np.isnan(empty(np.array([])))
    assert np.isnan(measures.expected_shortfall(np.array([])))
    assert measures.max_drawdown(np.array([])) == measures.cumulative_return(np.array([])) == 0


def test_performance_names_and_values():
    backtest = random_backtest(seed=2)
    table = performance(backtest)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    promised = (
        "annual_return cumulative_return annual_volatility sharpe sortino calmar max_drawdown turnover cost_paid "
        "n_trades hit_rate"
    )
    assert set(promised.split()) <= set(table)
    holdings = backtest.holdings()
    assert holdings["open"].any()
    closed = holdings[~holdings["open"]]["profit"]
    assert table["final_wealth"] == pytest.approx(backtest.wealth[-1])
    assert table["turnover"] == pytest.approx(backtest.turnover.mean())
    assert table["cost_paid"] == pytest.approx(backtest.costs.sum())
    assert table["n_trades"] == 60
    assert table["average_holding_days"] == pytest.approx(holdings["days"].mean())
    assert table["win_rate"] == pytest.approx((closed > 0).sum() / len(closed))
    assert table["profit_factor"] == pytest.approx(closed[closed > 0].sum() / -closed[closed < 0].sum())
    assert (table["best_day"], table["worst_day"]) == (backtest.returns.max(), backtest.returns.min())
    assert performance(backtest, risk_free=0.01)["sharpe"] < table["sharpe"]


def test_a_pause_is_where_next_to_nothing_of_what_is_usual_is_traded():
    turnover = np.full(60, 0.5)
    turnover[10:35] = 0.005  # a hundredth of what is usual, though fifty times what always counts as nothing
    paused = replace(random_backtest(), turnover=turnover)
    assert performance(paused)["longest_pause_days"] == 25
    assert performance(replace(paused, turnover=np.full(60, 0.005)))["longest_pause_days"] == 0
    assert performance(replace(paused, turnover=np.where(turnover < 0.1, 5e-5, 1e-3)))["longest_pause_days"] == 25


def test_relative_measures_agree_with_empyrical():
    benchmark, noise = daily(1), daily(2, mean=0.0002)
    returns = 0.7 * benchmark + noise
    table = relative_performance(returns, benchmark, risk_free=0.0001)
    alpha, beta = empyrical.alpha_beta(returns, benchmark, risk_free=0.0001)
    assert table["alpha"] == pytest.approx(alpha, rel=1e-10)
    assert table["beta"] == pytest.approx(beta, rel=1e-10)
    expected = empyrical.excess_sharpe(returns, benchmark) * np.sqrt(252)
    assert table["information_ratio"] == pytest.approx(expected, rel=1e-12)
    assert table["tracking_error"] == pytest.approx(np.std(returns - benchmark, ddof=1) * np.sqrt(252))
    assert table["correlation"] == pytest.approx(np.corrcoef(returns, benchmark)[0, 1])
    same = relative_performance(benchmark, benchmark)
    assert (same["beta"], same["excess_annual_return"]) == (pytest.approx(1), 0)
    assert same["information_ratio"] is None
    flat = relative_performance(returns, np.full(len(returns), 0.0003))
    assert flat["alpha"] is flat["beta"] is flat["correlation"] is None
    assert relative_performance(np.zeros(700), benchmark)["correlation"] is None
    with pytest.raises(ValueError, match=r"benchmark has shape \(700,\), the returns \(699,\)"):
        relative_performance(returns[1:], benchmark)


def test_years():
    backtest = random_backtest(n_days=500)
    table = yearly_performance(backtest)
    assert table.index.tolist() == [2020, 2021]
    assert table["n_days"].tolist() == [365, 135]
    np.testing.assert_allclose(np.prod(1 + table["return"]), backtest.wealth[-1])
    assert table["cost_paid"].sum() == pytest.approx(backtest.costs.sum())
    second = backtest.returns[365:]
    assert table.loc[2021, "sharpe"] == pytest.approx(empyrical.sharpe_ratio(second))
    assert table.loc[2021, "max_drawdown"] == pytest.approx(empyrical.max_drawdown(second))
    assert table.loc[2021, "annual_volatility"] == pytest.approx(empyrical.annual_volatility(second))
    assert table.loc[2020, "turnover"] == pytest.approx(backtest.turnover[:365].mean())


def test_months_agree_with_pandas():
    dates = np.datetime64("1969-11-20") + np.arange(400)
    returns = daily(5, 400)
    table = monthly_returns(returns, dates)
    assert table.index.tolist() == [1969, 1970]
    assert table.columns.tolist() == list(range(1, 13))
    resampled = pd.Series(1 + returns, index=pd.DatetimeIndex(dates)).resample("ME").prod() - 1
    for stamp, value in resampled.items():
        assert table.loc[stamp.year, stamp.month] == pytest.approx(value, rel=1e-12)
    assert table.notna().sum().sum() == len(resampled)
    short = monthly_returns(returns[:20], dates[:20])
    assert short.columns.tolist() == list(range(1, 13))
    assert short.notna().sum().sum() == 2


EVERY = (
    measures.annual_return, measures.annual_volatility, measures.sharpe_ratio, measures.sortino_ratio,
    measures.max_drawdown, measures.calmar_ratio, measures.hit_rate, measures.value_at_risk,
    measures.expected_shortfall, measures.skewness, measures.kurtosis, measures.cumulative_return,
    measures.final_wealth, measures.longest_drawdown_days,
)  # fmt: skip


@pytest.mark.parametrize("measure", EVERY)
@pytest.mark.parametrize("unknown", [np.nan, np.inf])
@pytest.mark.parametrize("day", [0, 7, 19])
def test_one_unknown_return_makes_every_measure_unknown(measure, unknown, day):
    returns = np.random.default_rng(0).normal(0, 0.01, 20)
    assert np.isfinite(measure(returns))
    returns[day] = unknown
    assert not np.isfinite(measure(returns))


def test_a_month_with_an_unknown_return_is_unknown():
    dates = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-03-01"))
    returns = np.full(len(dates), 0.001)
    returns[3] = np.nan
    table = monthly_returns(returns, dates)
    assert np.isnan(table.loc[2020, 1])
    assert table.loc[2020, 2] == pytest.approx(1.001**29 - 1)
    assert table.loc[2020, 3:].isna().all()


@pytest.mark.parametrize("periods", [12.0, 52.0, 365.0])
def test_periods_per_year_scale_what_is_annual_and_nothing_else(periods):
    backtest = random_backtest()
    days, other = performance(backtest), performance(replace(backtest, periods_per_year=periods))
    root = np.sqrt(periods / 252)
    for name in ("annual_volatility", "sharpe", "sortino"):
        assert other[name] == pytest.approx(days[name] * root)
    assert 1 + other["annual_return"] == pytest.approx((1 + days["annual_return"]) ** (periods / 252))
    for name in ("cumulative_return", "max_drawdown", "turnover", "hit_rate", "n_days"):
        assert other[name] == days[name]
    assert other == performance(backtest, periods_per_year=periods), "the argument outranks the backtest"


def test_periods_per_year_survive_the_file(tmp_path):
    weekly = replace(random_backtest(), periods_per_year=52.0)
    weekly.save(tmp_path / "x.parquet")
    assert Backtest.load(tmp_path / "x.parquet").periods_per_year == 52.0
    with pytest.raises(ValueError, match="periods_per_year is 0"):
        replace(weekly, periods_per_year=0.0)
