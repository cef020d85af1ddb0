"""Performance of a series of returns: growth, risk, drawdown, and how it compares with a benchmark.

Every measure takes net simple returns ``[T]`` of equal periods, by default days of which a year has 252, and starts
from a wealth of 1, which drawdowns include. A measure that is undefined (a ratio to zero, the standard deviation of one
day) is NaN; the dictionaries hold None instead. One return that is not finite makes every measure NaN, since what the
wealth was worth afterwards is unknown. Formulas equal those of empyrical.
"""

from typing import Any

import numpy as np
import pandas as pd

from evaluation.backtest import NEGLIGIBLE, Backtest
from market.arrays import BoolArray, DateArray, FloatArray

DAYS_PER_YEAR = 252.0
"""Trading days of a year: the default where nothing says how long a period is."""
PAUSE = 1e-4
"""Share of the account: a day on which less is traded counts as one without trading, however little is usual."""
USUAL = 50
"""A day on which this many times less is traded than on the mean day counts as one without trading too."""
ROUNDING = 1e-12  # a spread this small beside the mean is rounding


def wealth_path(returns: FloatArray) -> FloatArray:
    """Returns the wealth at the start (1) and after each day, ``[1 + T]``."""
    return np.concatenate([[1.0], np.cumprod(1 + returns)])


def cumulative_return(returns: FloatArray) -> float:
    """Returns the growth of wealth over all days; 0 for no days."""
    return float(np.prod(1 + returns) - 1)


def final_wealth(returns: FloatArray) -> float:
    """Returns the wealth after all days; 1 for no days."""
    return float(np.prod(1 + returns))


def annual_return(returns: FloatArray, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Returns the constant yearly growth that leads to the same wealth; -1 where nothing is left, NaN for no days."""
    if len(returns) == 0 or not _finite(returns):
        return float("nan")
    final = final_wealth(returns)
    return float(final ** (periods_per_year / len(returns)) - 1) if final > 0 else -1.0


def annual_volatility(returns: FloatArray, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Returns the standard deviation (``ddof=1``) of a year; NaN for fewer than two days."""
    return _deviation(returns) * float(np.sqrt(periods_per_year))


def sharpe_ratio(
    returns: FloatArray, risk_free: float | FloatArray = 0.0, periods_per_year: float = DAYS_PER_YEAR
) -> float:
    """Returns the mean excess return over its standard deviation, a year; NaN where the excess does not vary.

    Scaling the excess returns does not change it.

    Args:
        returns: ``[T]``.
        risk_free: Return of a day without risk, one number or ``[T]``.
        periods_per_year: Number of returns in a year.
    """
    excess = returns - risk_free
    return _ratio(excess, _deviation(excess), periods_per_year)


def sortino_ratio(
    returns: FloatArray, risk_free: float | FloatArray = 0.0, periods_per_year: float = DAYS_PER_YEAR
) -> float:
    """Returns the mean excess return over the root mean square of the losses, a year; NaN without a loss.

    The mean of the squares runs over all days, gains counting as zero.
    """
    excess = returns - risk_free
    if len(excess) < 2:
        return float("nan")
    return _ratio(excess, float(np.sqrt(np.mean(np.square(np.minimum(excess, 0))))), periods_per_year)


def max_drawdown(returns: FloatArray) -> float:
    """Returns the deepest fall of wealth below its highest value so far, as a negative fraction; 0 without a fall."""
    return float(drawdowns(returns).min(initial=0.0)) if _finite(returns) else float("nan")


def drawdowns(returns: FloatArray) -> FloatArray:
    """Returns the distance of wealth below its highest value so far, ``[1 + T]``, zero or negative."""
    wealth = wealth_path(returns)
    below: FloatArray = wealth / np.maximum.accumulate(wealth) - 1
    return below


def longest_drawdown_days(returns: FloatArray) -> float:
    """Returns the longest run of days at whose close wealth was below its highest value so far."""
    if not _finite(returns):
        return float("nan")
    return longest_run(drawdowns(returns) < 0)


def longest_run(true: BoolArray) -> int:
    """Returns how many values of ``[T]`` are true in a row at most."""
    edges = np.flatnonzero(np.diff(true, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def calmar_ratio(returns: FloatArray, periods_per_year: float = DAYS_PER_YEAR) -> float:
    """Returns the annual return over the depth of the worst drawdown; NaN without a drawdown."""
    depth = -max_drawdown(returns)
    return annual_return(returns, periods_per_year) / depth if depth > 0 else float("nan")


def hit_rate(returns: FloatArray) -> float:
    """Returns the share of gains among the days with a gain or a loss; NaN where there are none."""
    moved = returns != 0
    return float((returns > 0).sum() / moved.sum()) if moved.any() and _finite(returns) else float("nan")


def value_at_risk(returns: FloatArray, level: float = 0.05) -> float:
    """Returns the quantile `level` of the daily returns, negative for a loss; NaN for no days."""
    return float(np.quantile(returns, level)) if len(returns) and _finite(returns) else float("nan")


def expected_shortfall(returns: FloatArray, level: float = 0.05) -> float:
    """Returns the mean of the worst ``1 + floor(level (T - 1))`` daily returns; NaN for no days."""
    worst = np.sort(returns)[: 1 + int(level * (len(returns) - 1))]
    return float(worst.mean()) if len(returns) and _finite(returns) else float("nan")


def skewness(returns: FloatArray) -> float:
    """Returns the third standardised moment (population); NaN where the returns do not vary."""
    from scipy import stats  # slow to import

    return float(stats.skew(returns)) if _varies(returns) else float("nan")


def kurtosis(returns: FloatArray) -> float:
    """Returns the fourth standardised moment (population), 3 for a normal law; NaN where the returns do not vary."""
    from scipy import stats  # slow to import

    return float(stats.kurtosis(returns, fisher=False)) if _varies(returns) else float("nan")


def performance(
    backtest: Backtest, risk_free: float | FloatArray = 0.0, periods_per_year: float | None = None
) -> dict[str, Any]:
    """Returns all measures of a backtest by name, ready for ``metrics.json``; None where undefined.

    A year has as many periods as the backtest says, or `periods_per_year` where that is given.

    Of the returns: ``annual_return``, ``cumulative_return``, ``final_wealth``, ``annual_volatility``, ``sharpe``,
    ``sortino``, ``calmar``, ``max_drawdown`` (negative), ``longest_drawdown_days``, ``hit_rate`` (of days),
    ``best_day``, ``worst_day``, ``value_at_risk`` and ``expected_shortfall`` (5 %, of a day), ``skewness``,
    ``kurtosis``, ``n_days``, ``periods_per_year``.

    Of the positions: ``exposure`` (mean over days of the absolute weights of the assets, 1 where all the money is
    invested, more with leverage or shorts) and ``time_in_market`` (share of days with any position).

    Of the trades: ``turnover`` (one-way, mean of a day), ``cost_paid`` (sum, in units of starting wealth),
    ``n_trades``, ``longest_pause_days`` (the longest run of days that each trade less than `pause_limit`),
    ``average_holding_days`` (holdings still open count with the days so far), and, of closed holdings
    after costs, ``win_rate`` (share with a profit) and ``profit_factor`` (profits over losses).
    """
    returns = backtest.returns
    periods = backtest.periods_per_year if periods_per_year is None else periods_per_year
    measures = {
        "annual_return": annual_return(returns, periods),
        "cumulative_return": cumulative_return(returns),
        "final_wealth": final_wealth(returns),
        "annual_volatility": annual_volatility(returns, periods),
        "sharpe": sharpe_ratio(returns, risk_free, periods),
        "sortino": sortino_ratio(returns, risk_free, periods),
        "calmar": calmar_ratio(returns, periods),
        "max_drawdown": max_drawdown(returns),
        "longest_drawdown_days": longest_drawdown_days(returns),
        "hit_rate": hit_rate(returns),
        "best_day": float(returns.max()),
        "worst_day": float(returns.min()),
        "value_at_risk": value_at_risk(returns),
        "expected_shortfall": expected_shortfall(returns),
        "skewness": skewness(returns),
        "kurtosis": kurtosis(returns),
        "n_days": len(returns),
        "periods_per_year": periods,
    }
    return {name: _or_none(value) for name, value in (measures | _trade_measures(backtest)).items()}


def relative_performance(
    returns: FloatArray,
    benchmark: FloatArray,
    risk_free: float | FloatArray = 0.0,
    periods_per_year: float = DAYS_PER_YEAR,
) -> dict[str, float | None]:
    """Returns how returns compare with those of a benchmark on the same days; None where undefined.

    ``beta`` and ``alpha`` (annual, compounded) of the excess returns, ``correlation``, ``tracking_error`` (annual
    standard deviation of the difference), ``information_ratio`` (its Sharpe ratio) and ``excess_annual_return``.

    Raises:
        ValueError: The series have different lengths.
    """
    if returns.shape != benchmark.shape:
        raise ValueError(f"benchmark has shape {benchmark.shape}, the returns {returns.shape}; take the same days")
    own, market = returns - risk_free, benchmark - risk_free
    comparable = _varies(market)
    beta = float(np.cov(own, market)[0, 1] / np.var(market, ddof=1)) if comparable else float("nan")
    measures = {
        "alpha": float((1 + np.mean(own - beta * market)) ** periods_per_year - 1) if comparable else float("nan"),
        "beta": beta,
        "correlation": float(np.corrcoef(own, market)[0, 1]) if comparable and _varies(own) else float("nan"),
        "tracking_error": annual_volatility(returns - benchmark, periods_per_year),
        "information_ratio": sharpe_ratio(returns - benchmark, periods_per_year=periods_per_year),
        "excess_annual_return": annual_return(returns, periods_per_year) - annual_return(benchmark, periods_per_year),
    }
    return {name: _or_none(value) for name, value in measures.items()}


def yearly_performance(backtest: Backtest) -> pd.DataFrame:
    """Returns one row for each calendar year; a part of a year is not annualised in ``return``.

    Columns: ``return``, ``annual_volatility``, ``sharpe``, ``max_drawdown`` (within the year), ``turnover`` (mean of a
    day), ``cost_paid``, ``n_days``; NaN where undefined.
    """
    years = backtest.dates.astype("datetime64[Y]")
    rows = {}
    for year in np.unique(years):
        days = years == year
        returns = backtest.returns[days]
        rows[int(str(year))] = {
            "return": cumulative_return(returns),
            "annual_volatility": annual_volatility(returns, backtest.periods_per_year),
            "sharpe": sharpe_ratio(returns, periods_per_year=backtest.periods_per_year),
            "max_drawdown": max_drawdown(returns),
            "turnover": float(backtest.turnover[days].mean()),
            "cost_paid": float(backtest.costs[days].sum()),
            "n_days": int(days.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("year").astype({"n_days": np.int64})


def monthly_returns(returns: FloatArray, dates: DateArray) -> pd.DataFrame:
    """Returns the compounded return of each month, a row a year and a column a month (1 to 12); NaN without days."""
    months = dates.astype("datetime64[M]").astype(np.int64)
    growth = pd.DataFrame({"year": 1970 + months // 12, "month": 1 + months % 12, "growth": 1 + returns})
    grouped = growth.groupby(["year", "month"])["growth"].agg(
        lambda days: float(np.prod(days.to_numpy()))
    )  # NaN stays NaN
    table = grouped.unstack("month") - 1
    return table.reindex(columns=pd.RangeIndex(1, 13, name="month"))


def pause_limit(turnover: float) -> float:
    """Returns the share of the account below which a day counts as one without trading, given the mean of all days."""
    return max(PAUSE, turnover / USUAL)


def _trade_measures(backtest: Backtest) -> dict[str, float | int]:
    holdings = backtest.holdings()
    closed = holdings["profit"][~holdings["open"]].to_numpy()
    gained, lost = float(closed[closed > 0].sum()), -float(closed[closed < 0].sum())
    invested = np.abs(backtest.weights[:, 1:]).sum(axis=1)
    return {
        "exposure": float(invested.mean()),
        "time_in_market": float((invested > NEGLIGIBLE).mean()),
        "turnover": float(backtest.turnover.mean()),
        "cost_paid": float(backtest.costs.sum()),
        "n_trades": backtest.n_trades,
        "longest_pause_days": longest_run(backtest.turnover < pause_limit(float(backtest.turnover.mean()))),
        "average_holding_days": float(holdings["days"].mean()) if len(holdings) else float("nan"),
        "win_rate": float((closed > 0).mean()) if len(closed) else float("nan"),
        "profit_factor": gained / lost if lost > 0 else float("nan"),
    }


def _finite(returns: FloatArray) -> bool:
    return bool(np.isfinite(returns).all())


def _deviation(returns: FloatArray) -> float:
    return float(returns.std(ddof=1)) if len(returns) > 1 and _finite(returns) else float("nan")


def _varies(returns: FloatArray) -> bool:
    return len(returns) > 1 and _finite(returns) and bool(np.ptp(returns) > ROUNDING * np.abs(returns).max())


def _ratio(excess: FloatArray, risk: float, periods_per_year: float) -> float:
    """The mean of a day over its risk, a year; NaN where the risk is zero, is rounding, or is NaN."""
    if not risk > ROUNDING * np.abs(excess).max(initial=0.0):
        return float("nan")
    return float(excess.mean() / risk * np.sqrt(periods_per_year))


def _or_none(value: float | int) -> float | int | None:
    return value if np.isfinite(value) else None
