"""Comparisons whose outcome is known, because their returns are drawn to have it."""

import numpy as np

from evaluation.backtest import Backtest
from evaluation.policy_comparison import PolicyComparison
from evaluation.reports.forecast import ForecastEvaluation

DATES = np.arange(np.datetime64("2018-01-01"), np.datetime64("2019-12-31"))
DATES = DATES[np.is_busday(DATES)]
ASSETS = ("A", "B & <C>")


def paper(name, returns, dates=DATES, assets=ASSETS, cost=1e-5, seed=0):
    """A backtest of given returns; what it held and traded is made up, in plausible proportions."""
    rng = np.random.default_rng(seed)
    days = len(returns)
    weights = rng.dirichlet(np.ones(1 + len(assets)), days)
    wealth = np.concatenate([[1.0], np.cumprod(1 + returns)])
    trades = rng.normal(0, 0.01, (days, len(assets)))
    profits = np.tile((np.diff(wealth) / len(assets))[:, None], (1, len(assets)))
    turnover, costs = np.full(days, 0.02), np.full(days, cost)
    return Backtest(name, assets, dates[:days], np.asarray(returns), weights, turnover, costs, trades, profits)


def comparison(edge, n_seeds=3, spread=0.0, noise=0.002, index=False, seed=0):
    """An agent that earns `edge` a day more than the market, whose seeds differ by `spread`, and its references."""
    rng = np.random.default_rng(seed)
    days = len(DATES)
    market = rng.normal(0.0003, 0.01, days)
    shifts = spread * np.linspace(-1, 1, n_seeds) if n_seeds > 1 else np.zeros(1)
    agents = [market + edge + shift + rng.normal(0, noise, days) for shift in shifts]
    seeds = tuple(paper(f"seed_{k}", one, seed=k) for k, one in enumerate(agents))
    others = (
        paper("cash", np.zeros(days)),
        paper("buy_and_hold", market),
        paper("equal_weight", market + rng.normal(0, noise, days)),
        paper("momentum", market + rng.normal(0, noise, days)),
    )
    tables = {
        points: {"PPO": seeds, "buy_and_hold": (others[1],), "equal_weight": (others[2],)} for points in (0.0, 10.0)
    }
    published = paper("index", market + rng.normal(0, noise, days)) if index else None
    bound = paper("hindsight (cheats: sees the future)", np.abs(market))
    return PolicyComparison({"PPO": seeds}, others, published, bound, tables)


def evaluated(skill, seed=0, codes=True):
    """A forecast that is `skill` parts of what came true and one part noise, over valid and test days."""
    rng = np.random.default_rng(seed)
    days, names = len(DATES), 8
    label = rng.normal(0, 0.01, (days, names))
    mean = skill * label + 0.01 * rng.normal(size=label.shape)
    parts = {"valid": slice(0, days // 2), "test": slice(days // 2, days)}
    chosen = rng.integers(0, 5, (days, names, 2)).astype(np.int32) if codes else None
    return ForecastEvaluation(DATES, mean, label, np.ones(label.shape, bool), parts, 1, chosen, 8 if codes else None)
