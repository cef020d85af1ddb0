"""A year is a year, whatever the length of a bar: buy and hold shows the same figures from days, weeks and months."""

import numpy as np
import pandas as pd
import pytest

from envs import Tape
from evaluation.performance import performance
from evaluation.rollout import benchmark_backtest
from market.panel import Panel
from market.preparation.resampling import resample


def panel(calendar: str) -> Panel:
    """Twelve years of one stock with 12 % a year and a volatility of 20 %, on weekdays or on all days."""
    days = pd.date_range("2008-01-01", "2019-12-31", freq=calendar)
    year = len(days) / 12
    moves = np.random.default_rng(3).normal(0, 1, len(days))
    moves = (moves - moves.mean()) / moves.std()  # the drift is exact, so that only the sampling of a bar is left
    close = 50 * np.exp(np.cumsum(0.12 / year + 0.2 / np.sqrt(year) * moves))
    return Panel.from_frame(pd.DataFrame({"date": days, "symbol": "A", "close": close}))


@pytest.mark.parametrize("calendar", ["B", "D"])
@pytest.mark.parametrize(("frequency", "periods", "noise"), [("w", 52, 0.06), ("m", 12, 0.13), ("q", 4, 0.25)])
def test_longer_bars_show_the_yearly_figures_of_days(calendar: str, frequency: str, periods: int, noise: float) -> None:
    days = panel(calendar)
    bars = resample(days, frequency)  # type: ignore[arg-type]
    assert bars.periods_per_year == pytest.approx(periods, rel=0.02)
    daily, longer = (performance(benchmark_backtest(Tape.from_panel(one, fill="close"))) for one in (days, bars))
    assert longer["periods_per_year"] == bars.periods_per_year
    assert longer["annual_return"] == pytest.approx(daily["annual_return"], abs=0.02)
    assert longer["annual_volatility"] == pytest.approx(daily["annual_volatility"], rel=noise)
    assert longer["sharpe"] == pytest.approx(daily["sharpe"], rel=1.5 * noise)


def test_a_market_that_trades_on_weekends_has_the_figures_of_one_that_does_not() -> None:
    weekdays, everyday = (performance(benchmark_backtest(Tape.from_panel(panel(c), fill="close"))) for c in ("B", "D"))
    for measure in ("annual_return", "annual_volatility", "sharpe"):
        assert everyday[measure] == pytest.approx(weekdays[measure], rel=0.05)
