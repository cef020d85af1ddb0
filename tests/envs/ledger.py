"""An account that counts shares: written apart from the environments, from TRADING's rules, with loops and bisection.

It reads prices off the panel, never the tape, and knows nothing of weights between trades.
"""

import math
from dataclasses import dataclass, field

from envs import Costs
from market.panel import Panel


@dataclass
class Ledger:
    """Cash and shares of one account, traded at the prices of a panel."""

    panel: Panel
    fill: str
    costs: Costs = field(default_factory=Costs)
    delisting_return: float = 0.0
    price_limit: float | None = None
    long_only: bool = True

    def __post_init__(self) -> None:
        self.names = range(len(self.panel.assets))
        self.cash, self.shares = 1.0, [0.0 for _ in self.names]
        self.mark = [math.nan for _ in self.names]
        self.cost = self.turnover = 0.0
        self.weights: list[float] = []
        self.mark_to_close(0)

    def quote(self, field_name: str, day: int, n: int) -> float | None:
        price = float(self.panel[field_name][day, n])
        halted = self.panel.listed[day, n] and not self.panel.tradable[day, n]
        return None if halted or not math.isfinite(price) else price

    def mark_to_close(self, day: int) -> None:
        for n in self.names:
            price = self.quote("close", day, n)
            if price is not None:
                self.mark[n] = price

    def worth(self, prices: list[float]) -> float:
        return self.cash + sum(self.shares[n] * prices[n] for n in self.names if self.shares[n])

    @property
    def wealth(self) -> float:
        return self.worth(self.mark)

    def accrue(self, prices: list[float]) -> None:
        short = sum(-self.shares[n] * prices[n] for n in self.names if self.shares[n] < 0)
        self.cash += self.costs.cash_rate * self.cash - self.costs.borrow_rate * short

    def pay_out(self, prices: list[float | None], day: int) -> None:
        for n in self.names:
            if not self.panel.listed[day, n] and prices[n] is None and self.shares[n]:
                self.cash += self.shares[n] * self.mark[n] * (1 + self.delisting_return)
                self.shares[n] = 0.0

    def allowed(self, day: int, n: int, quotes: list[float | None], previous: list[float]) -> tuple[bool, bool]:
        """Whether asset n may be bought and sold at the fill of the decision of `day`."""
        fill_day = day if self.fill == "close" else day + 1
        known = self.panel.listed[day, n] and self.panel.listed[fill_day, n]
        quoted = quotes[n] is not None
        buy, sell = bool(known and quoted), quoted
        if self.price_limit is not None and quoted and math.isfinite(previous[n]):
            move = quotes[n] / previous[n] - 1
            buy = buy and move < 0.98 * self.price_limit
            sell = sell and move > -0.98 * self.price_limit
        return buy, sell

    def day(self, day: int, wanted: list[float] | None) -> float:
        """Carries out the decision of `day` (None holds) and returns the wealth at the next close."""
        delay = 0 if self.fill == "close" else 1
        quotes = [self.quote("open" if self.fill == "next_open" else "close", day + delay, n) for n in self.names]
        previous = list(self.mark)
        if self.fill == "close":
            previous = self.marks_before(day)
        if self.fill == "next_close":
            self.accrue(self.mark)
        if delay:
            self.pay_out(quotes, day + 1)
        prices = [self.mark[n] if quotes[n] is None else quotes[n] for n in self.names]
        allowed = [self.allowed(day, n, quotes, previous) for n in self.names]
        self.trade(day, wanted, prices, allowed)
        if self.fill != "next_close":
            self.accrue(prices)
        if not delay:
            closes = [self.quote("close", day + 1, n) for n in self.names]
            self.pay_out(closes, day + 1)
        self.mark_to_close(day + 1)
        return self.wealth

    def marks_before(self, day: int) -> list[float]:
        marks = [math.nan for _ in self.names]
        for past in range(day):
            for n in self.names:
                price = self.quote("close", past, n)
                marks[n] = marks[n] if price is None else price
        return marks

    def trade(
        self, day: int, wanted: list[float] | None, prices: list[float], allowed: list[tuple[bool, bool]]
    ) -> None:
        before = self.worth(prices)
        value = [self.shares[n] * prices[n] if self.shares[n] else 0.0 for n in self.names]
        old_weights = [self.cash / before, *(v / before for v in value)]
        if wanted is None:
            wanted = old_weights
        cash_weight, weights = wanted[0], list(wanted[1:])
        fill_day = day if self.fill == "close" else day + 1
        for n in self.names:
            if not (self.panel.listed[day, n] and self.panel.listed[fill_day, n]):
                cash_weight, weights[n] = cash_weight + weights[n], 0.0
        locked = {
            n
            for n in self.names
            if self.barred(weights[n] * before - value[n], allowed[n]) and (value[n] or weights[n])
        }
        while True:
            new_value, total = self.solve(cash_weight, weights, value, before, locked)
            wrong = {
                n for n in self.names if n not in locked and self.barred(new_value[n] - value[n], allowed[n], 1e-13)
            }
            if not wrong:
                break
            locked |= wrong
        self.cost = sum(self.fee(new_value[n] - value[n]) for n in self.names)
        self.cash = total - sum(new_value)
        self.shares = [new_value[n] / prices[n] if new_value[n] else 0.0 for n in self.names]
        self.weights = [self.cash / total, *(v / total for v in new_value)]
        self.turnover = sum(abs(a - b) for a, b in zip(self.weights, old_weights, strict=True)) / 2

    @staticmethod
    def barred(change: float, allowed: tuple[bool, bool], tolerance: float = 0.0) -> bool:
        buy, sell = allowed
        if not buy and not sell:
            return True
        return (change > tolerance and not buy) or (change < -tolerance and not sell)

    def fee(self, change: float) -> float:
        fee = self.costs.fee_rate
        if change < 0 and self.costs.sell_fee_rate is not None:
            fee = self.costs.sell_fee_rate
        return (fee + self.costs.half_spread) * abs(change)

    def solve(
        self, cash_weight: float, weights: list[float], value: list[float], before: float, locked: set[int]
    ) -> tuple[list[float], float]:
        """Finds by bisection the wealth after costs at which the open positions have the weights asked for."""
        stuck = sum(value[n] for n in locked)
        open_weight = cash_weight + sum(weights[n] for n in self.names if n not in locked)
        share_out = self.long_only or before - stuck < open_weight * before

        def positions(total: float) -> list[float]:
            shared = max(0.0, (total - stuck) / open_weight) if open_weight > 1e-12 else 0.0
            scale = shared if share_out else total
            return [value[n] if n in locked else scale * weights[n] for n in self.names]

        low, high = 0.0, before
        if share_out and self.long_only:
            low = stuck
        for _ in range(200):
            middle = (low + high) / 2
            paid = sum(self.fee(new - old) for new, old in zip(positions(middle), value, strict=True))
            if middle + paid > before:
                high = middle
            else:
                low = middle
        return positions(low), low
