"""Trading on the forecasts of an encoder, without a states file in between."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from agents.baselines.base import ClassicalPolicy, Rule
from agents.baselines.simple import TopKDropN
from agents.history import History
from envs import Costs, Tape
from evaluation.backtest import Backtest
from evaluation.performance import performance
from evaluation.rollout import rollout
from market.arrays import FloatArray
from market.panel import Panel
from market.prices.fills import Fill
from market.states import MarketStates


def portfolio_measures(
    panel: Panel,
    fill: Fill,
    rule: TopKDropN,
    costs: Costs,
    price_limit: float | None = None,
    delisting_return: float = 0.0,
) -> Callable[[FloatArray, slice], Mapping[str, Any]]:
    """Returns the function that trades a forecast over some rows of `panel` and returns its performance by name.

    The arguments are those of `trade_forecast`.
    """

    def backtest(mean: FloatArray, rows: slice) -> Mapping[str, Any]:
        return performance(trade_forecast(panel, fill, rule, costs, price_limit, mean, rows, delisting_return))

    return backtest


def trade_forecast(
    panel: Panel,
    fill: Fill,
    rule: Rule,
    costs: Costs,
    price_limit: float | None,
    mean: FloatArray,
    rows: slice,
    delisting_return: float = 0.0,
) -> Backtest:
    """Trades a forecast over some rows of `panel`.

    Each day of those rows is a day of decision but the last, whose trade would fall outside. A name that is halted on
    the day of the trade is neither bought nor sold.

    Args:
        panel: Adjusted bars.
        fill: When decisions are carried out; the one that the forecast is of.
        rule: What is held; without `eta`, since the forecast comes without its deviation.
        costs: What trading costs.
        price_limit: Daily limit on moves, 0.1 for 10 %: no buying at limit-up, no selling at limit-down. None for none.
        mean: ``[T, N]`` the forecast, over all rows of the panel; NaN where there is none.
        rows: Days to trade.
        delisting_return: Return on the last price when a listing ends.
    """
    dates = panel.dates[rows]
    tape = Tape.from_panel(
        panel,
        fill=fill,
        start=str(dates[0]),
        stop=str(dates[-1]),
        price_limit=price_limit,
        delisting_return=delisting_return,
    )
    policy = ClassicalPolicy(rule, History.of(tape, panel, forecast_only(panel, mean)))
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, costs=costs, action=policy.action, observation="compact")
    return rollout(policy, env)


def forecast_only(panel: Panel, mean: FloatArray) -> MarketStates:
    """Returns states that hold a forecast and say nothing else."""
    days, assets = mean.shape
    forecast = mean.astype(np.float32)
    return MarketStates(
        dates=panel.dates,
        assets=panel.assets,
        asset=np.zeros((days, assets, 1), np.float32),
        market=np.zeros((days, 1), np.float32),
        forecast_mean=forecast,
        forecast_std=np.full_like(forecast, np.nan),
        mask=np.isfinite(forecast),
        fit_end=panel.dates - np.timedelta64(1, "D"),
    )
