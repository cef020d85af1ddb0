"""The terms of trading in words: every cost and every rule that a page's numbers depend on."""

from envs.costs import Costs
from envs.rebalancing import Rebalance
from envs.rules import MarketRules
from evaluation.formats import amount, bar_name

FILLS = {
    None: "as the panel allows",
    "close": "at the close of the day of the decision (assumes a market-on-close order)",
    "next_open": "at the next open",
    "next_close": "at the next close",
}


def terms(rules: MarketRules) -> tuple[tuple[str, str], ...]:
    """Returns names and texts of all rules, for a page."""
    limit = "none"
    if rules.price_limit is not None:
        limit = f"{_share(rules.price_limit)} a day: no buying at limit-up, no selling at limit-down"
    ended = "paid out at its last price"
    if rules.delisting_return != 0:
        ended = f"paid out at its last price {'less' if rules.delisting_return < 0 else 'plus'} "
        ended += _share(abs(rules.delisting_return))
    bars = "unknown"
    if rules.periods_per_year is not None:
        bars = f"{rules.periods_per_year:g}, a bar is a {bar_name(rules.periods_per_year)}"
    return (
        ("fill", FILLS[rules.fill]),
        ("costs", "; ".join(costs_in_words(rules.costs))),
        ("price limit", limit),
        ("a position whose listing ends", ended),
        ("bars a year", bars),
    )


def rebalance_in_words(rebalance: Rebalance) -> str:
    """Returns on which days an account may trade."""
    if isinstance(rebalance, int):
        return "on every bar" if rebalance == 1 else f"once in {rebalance} bars, counted from the first"
    return f"on the first day of each {'week' if rebalance == 'W' else 'month'}"


def costs_in_words(costs: Costs) -> list[str]:
    """Returns what trading and holding cost, a phrase for each term that is not zero."""
    if costs.buy_rate == costs.sell_rate:
        said = [f"{points(costs.buy_rate)} of each purchase and of each sale" if costs.buy_rate else "no fee"]
    else:
        said = [f"{points(costs.buy_rate)} of each purchase and {points(costs.sell_rate)} of each sale"]
    if costs.half_spread:
        said[0] += f" (half the spread, {points(costs.half_spread)}, included)"
    if costs.impact:
        said.append(
            f"market impact of {costs.impact:g} × volatility × √(trade / daily volume) for an account of "
            f"{amount(costs.capital, 0)}"
        )
    if costs.borrow_rate:
        said.append(f"short positions pay {points(costs.borrow_rate)} a bar")
    if not costs.half_spread and not costs.impact:
        said.append("no spread and no market impact")
    cash = f"cash {'earns' if costs.cash_rate > 0 else 'pays'} {points(abs(costs.cash_rate))} a bar"
    said.append(cash if costs.cash_rate else "cash earns nothing")
    if costs.margin:
        said.append(f"the account is closed where wealth falls to {_share(costs.margin)} of the gross position")
    return said


def points(rate: float) -> str:
    """Returns a rate in basis points, or in percent from one percent on."""
    return _share(rate) if rate >= 0.01 else f"{1e4 * rate:.4g} basis points"


def _share(rate: float) -> str:
    return f"{100 * rate:.4g} %"
