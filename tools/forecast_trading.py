"""What top-k drop-n would have earned on the forecasts of an encoder that is still being trained."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from agents.baselines import TopKDropN
from agents.classical import ClassicalPolicy
from agents.history import History
from envs import Costs, Tape
from evaluation.performance import performance
from evaluation.rollout import rollout
from market.arrays import FloatArray
from market.fills import Fill
from market.panel import Panel
from market.states import MarketStates


def trading_on(
    panel: Panel, fill: Fill, rule: TopKDropN, costs: Costs
) -> Callable[[FloatArray, slice], Mapping[str, Any]]:
    """Returns the function that trades a forecast over some rows of `panel` and returns its performance by name.

    Each day of those rows is a day of decision but the last, whose trade would fall outside.

    Args:
        panel: Adjusted bars.
        fill: When decisions are carried out; the one that the forecast is of.
        rule: What is held; without `eta`, since the forecast comes without its deviation.
        costs: What trading costs.
    """

    def backtest(mean: FloatArray, rows: slice) -> Mapping[str, Any]:
        dates = panel.dates[rows]
        tape = Tape.from_panel(panel, fill=fill, start=str(dates[0]), stop=str(dates[-1]))
        policy = ClassicalPolicy(rule, History.of(tape, panel, forecast_only(panel, mean)))
        env = gymnasium.make(
            "FactorGym/Portfolio-v0", tape=tape, costs=costs, action=policy.action, observation="compact"
        )
        return performance(rollout(policy, env))

    return backtest


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
        fit_end=panel.dates[-1],
    )
