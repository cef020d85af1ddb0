"""Trading on a forecast: halted names and names at their price limit are left alone."""

import numpy as np
import pytest

from agents.baselines.simple import TopKDropN
from envs import Costs
from market.panel import Panel
from pipeline.forecast_trading import portfolio_measures, trade_forecast

DAYS, LIMIT_DAY = 8, 3
RULE = TopKDropN(k=1, n_drop=1, risk_degree=1.0)


def market(halted=False):
    """Returns three stocks; the best of them, A, jumps to its limit, or is halted, on the day of the first trade."""
    close = np.full((DAYS, 3), 10.0)
    close[LIMIT_DAY:, 0] = 11.0
    listed = np.ones(close.shape, bool)
    tradable = listed.copy()
    if halted:
        tradable[LIMIT_DAY, 0] = False
    dates = np.datetime64("2020-01-06") + np.arange(DAYS)
    return Panel(dates, ("A", "B", "C"), ("close",), close[..., None], listed, tradable)


def bought(panel, price_limit):
    """Returns the names bought by the decision of the day before the limit, traded at the next close."""
    mean = np.tile([3.0, 2.0, 1.0], (DAYS, 1))
    path = trade_forecast(panel, "next_close", RULE, Costs(), price_limit, mean, slice(LIMIT_DAY - 1, DAYS))
    return {panel.assets[k] for k in np.flatnonzero(path.trades[0] > 0)}


@pytest.mark.parametrize(("limit", "names"), [(None, {"A"}), (0.1, set())])
def test_a_name_at_limit_up_cannot_be_bought(limit, names) -> None:
    assert bought(market(), limit) == names


def test_a_halted_name_cannot_be_bought() -> None:
    assert bought(market(halted=True), None) == set()


def test_the_measures_of_training_respect_the_limit_too() -> None:
    mean = np.tile([3.0, 2.0, 1.0], (DAYS, 1))
    rows = slice(LIMIT_DAY - 1, LIMIT_DAY + 1)
    free, bound = (
        portfolio_measures(market(), "next_close", RULE, Costs(), limit)(mean, rows) for limit in (None, 0.1)
    )
    assert free["n_trades"] == 1
    assert bound["n_trades"] == 0
