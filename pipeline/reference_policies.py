"""Policies that agents are measured against: classical rules, hindsight and a published index on the same days."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium
import numpy as np

from agents.baselines.base import ClassicalPolicy, Rule
from agents.baselines.hindsight import Hindsight
from agents.baselines.mean_variance import MeanVariance, MinimumVariance, RiskParity
from agents.baselines.simple import BuyAndHold, Cash, EqualWeight, LongShortQuantiles, Momentum, TopKDropN
from agents.history import History
from envs import Costs, Tape
from evaluation.backtest import Backtest
from evaluation.rollout import benchmark_backtest, rollout
from market.arrays import FloatArray
from market.panel import Panel
from market.prices.dividends import dividend_returns
from market.states import MarketStates
from pipeline.control_markets import index_returns

BASIS_POINT = 1e-4
ONE_IN = 5
"""Top-k policies hold one asset in so many, and exchange at most one in so many of those a day."""


@dataclass(frozen=True, eq=False)
class EvaluationMarket:
    """The days and terms that every policy of a comparison has in common.

    Attributes:
        tape: The days that are traded.
        panel: The bars it was made of, with the days before.
        states: Whose forecast some policies trade on; None for none.
        costs: Terms of the account.
        shorts: Whether short positions are allowed.
        start_from: Rule that an agent of the comparison began at; None for none.
    """

    tape: Tape
    panel: Panel
    states: MarketStates | None
    costs: Costs
    shorts: bool = False
    start_from: TopKDropN | None = None

    def at(self, points: float) -> "EvaluationMarket":
        """Returns the same market where a trade costs `points` basis points of its value and nothing else."""
        rate = points * BASIS_POINT
        return replace(self, costs=replace(self.costs, fee_rate=rate, sell_fee_rate=None, half_spread=0.0, impact=0.0))


def classical_rules(market: EvaluationMarket) -> tuple[Rule, ...]:
    """Returns every classical rule that makes sense on a market: fewer with one asset or without a forecast."""
    names = market.tape.n_assets
    if names == 1:
        return Cash(), BuyAndHold(), Momentum(share=1.0)
    found: list[Rule] = [*reference_rules(market), Momentum(), MinimumVariance(), RiskParity(), MeanVariance()]
    if (rule := forecast_rule(market)) is not None:
        found += [rule, *([replace(rule, eta=0.5)] if _spreads(market.states) else [])]
        if market.shorts and names >= ONE_IN:
            found.append(LongShortQuantiles(ONE_IN))
    return Cash(), *found


def reference_rules(market: EvaluationMarket) -> tuple[Rule, ...]:
    """Returns the rules that an agent is measured against; of one asset, equal weight is buy and hold."""
    return (BuyAndHold(),) if market.tape.n_assets == 1 else (BuyAndHold(), EqualWeight())


def forecast_rule(market: EvaluationMarket) -> TopKDropN | None:
    """Returns the fixed rule on the forecast that agents see, which learning has to improve on; None without one.

    It is the rule that an agent of the comparison began at, else top k.
    """
    if market.states is None or market.tape.n_assets == 1:
        return None
    if market.start_from is not None:
        return market.start_from
    k = max(1, market.tape.n_assets // ONE_IN)
    return TopKDropN(k, max(1, k // ONE_IN))


def _spreads(states: MarketStates | None) -> bool:
    """Whether the forecast is surer of some assets than of others, so that a rule may heed that."""
    if states is None:
        return False
    spread = states.forecast_std - np.nanmin(states.forecast_std, axis=1, keepdims=True, initial=np.inf)
    return bool(np.nanmax(spread, initial=0.0) > 0)


def dividends_of(market: EvaluationMarket) -> FloatArray | None:
    """Returns the dividends of the tape's assets on the days of its backtests, ``[T - 1, N]``; None where unknown."""
    found = dividend_returns(market.panel.select(market.tape.assets))
    if found is None:
        return None
    return found[np.searchsorted(market.panel.dates, market.tape.dates[1:])]


def classical_backtests(market: EvaluationMarket, chosen: Iterable[Rule]) -> list[Backtest]:
    """Returns the backtests of some rules."""
    history = History.of(market.tape, market.panel, market.states)
    return [trade_policy(market, ClassicalPolicy(rule, history)) for rule in chosen]


def hindsight_backtest(market: EvaluationMarket) -> Backtest | None:
    """Returns the most that any long-only policy could have earned; None where costs depend on the account's size."""
    return None if market.costs.impact > 0 else trade_policy(market, Hindsight(market.tape, market.costs))


def trade_policy(market: EvaluationMarket, policy: ClassicalPolicy | Hindsight) -> Backtest:
    """Returns the backtest of a policy that looks days up."""
    env = gymnasium.make(
        "FactorGym/Portfolio-v0",
        tape=market.tape,
        costs=market.costs,
        action=policy.action,
        observation="compact",
    )
    return rollout(policy, env)


def index_backtest(path: str | Path | Panel, asset: str | None, tape: Tape) -> Backtest:
    """Returns the path of a published index over the days of `tape`; a day it lacks has its last close.

    Raises:
        ValueError: The panel lacks the index, or does not cover the days.
    """
    name, returns = index_returns(path, asset, tape)
    return benchmark_backtest(replace(tape, benchmark=returns), name=f"index {name}")
