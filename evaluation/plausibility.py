"""Results too good to be believed, by bounds that no honest result of daily trading comes near."""

import math
from collections.abc import Mapping
from typing import Any

from evaluation.formats import display_name, number

HOLDING = 3.0
"""Annual Sharpe ratio that a policy may have without trading; the best decades of the best markets stay below 2."""
SKILL = 0.05
"""Mean RankIC of an outstanding daily forecast, of which the square root of the number of bets makes a
Sharpe ratio (Grinold and Kahn, Active Portfolio Management)."""


def sharpe_bound(n_assets: int, turnover: float, n_days: int, periods_per_year: float) -> float:
    """Returns the annual Sharpe ratio above which a result is suspect.

    What holding may earn, plus what an outstanding forecast may add with as many bets a year as assets are exchanged,
    plus one standard error of so many days.

    Args:
        n_assets: Assets that may be traded.
        turnover: One-way turnover a bar.
        n_days: Length of the series.
        periods_per_year: Bars in a year.
    """
    bets = n_assets * periods_per_year * min(turnover, 1.0)
    return HOLDING + SKILL * math.sqrt(bets) + math.sqrt(periods_per_year / max(n_days, 1))


def suspicions(metrics: Mapping[str, Any], agent: str) -> list[str]:
    """Returns why the result of `agent` cannot be believed as it stands; empty where nothing speaks against it."""
    reasons = []
    holding = [name for name in metrics["comparisons"][agent] if name != metrics.get("rule")]
    for name in (agent, *holding):
        one = metrics["performance"][name]
        bound = sharpe_bound(
            metrics.get("n_assets", 1), one["turnover"] or 0.0, one["n_days"], one.get("periods_per_year", 252.0)
        )
        if one["sharpe"] is not None and one["sharpe"] > bound:
            whose = "its Sharpe ratio is" if name == agent else f"{display_name(name)} has a Sharpe ratio of"
            reasons.append(
                f"{whose} {number(one['sharpe'])}, where {number(bound)} is the most to be believed for its turnover "
                "and universe"
            )
    test = metrics.get("test") or {}
    if test.get("suspicious"):
        reasons.append(
            f"its forecast is steadier than chance allows (rank ICIR {number(test.get('rank_icir'))} with "
            f"{test.get('n_assets', 0)} assets)"
        )
    return reasons
