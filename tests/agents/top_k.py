"""Top-k drop-n from its rules alone: names, shares and money in plain loops."""

import math

import numpy as np


class TopKAccount:
    """One account that exchanges names as qlib's strategy does, filled as `fill` says."""

    def __init__(self, panel, fill, fee, k, n, risk_degree):
        self.listed, self.tradable = panel.listed, panel.tradable
        self.close, self.open = panel["close"].copy(), panel["open"].copy()
        for prices in (self.close, self.open):
            prices[self.listed & ~self.tradable] = np.nan
        self.fill, self.fee, self.k, self.n, self.risk_degree = fill, fee, k, n, risk_degree
        self.cash, self.shares = 1.0, {}

    def mark(self, day, name):
        """The last close up to a day."""
        while math.isnan(self.close[day, name]):
            day -= 1
        return self.close[day, name]

    def wealth(self, day):
        return self.cash + sum(count * self.mark(day, name) for name, count in self.shares.items())

    def decide(self, day, score):
        """Names to sell and to buy, by the rules."""

        def rank(name):
            return (math.inf if math.isnan(score[name]) else -score[name], name)

        others = [i for i in range(len(score)) if i not in self.shares and self.tradable[day, i]]
        others = sorted((i for i in others if not math.isnan(score[i])), key=rank)
        candidates = others[: max(0, self.n + self.k - len(self.shares))]
        exchangeable = [i for i in self.shares if self.tradable[day, i]]
        combined = sorted([*exchangeable, *candidates], key=rank)
        sold = [i for i in combined[-self.n :] if i in exchangeable]
        return sold, candidates[: max(0, len(sold) + self.k - len(self.shares))]

    def trade(self, day, score):
        """One day, from a close to the next."""
        sold, bought = self.decide(day, score)
        filled = day if self.fill == "close" else day + 1
        prices = (self.open if self.fill == "next_open" else self.close)[filled]
        if self.fill != "close":
            self.pay_out(day + 1)
        for name in list(self.shares):
            leaves = not (self.listed[day, name] and self.listed[filled, name])
            if (name in sold or leaves) and not math.isnan(prices[name]):
                self.cash += self.shares.pop(name) * prices[name] * (1 - self.fee)
        there = [name for name in bought if self.listed[filled, name]]  # the part of one that is gone stays cash
        there = [name for name in there if not math.isnan(prices[name])]
        missing = sum(1 for name in bought if self.listed[filled, name] and math.isnan(prices[name]))
        part = self.risk_degree / len(bought) if bought else 0.0
        asked = 1.0 - missing * part  # what halted names asked for is shared by the others and cash
        if there and self.cash > 0:
            unit = self.cash / (asked + self.fee * part * len(there))
            for name in there:
                self.shares[name] = unit * part / prices[name]
                self.cash -= unit * part * (1 + self.fee)
        if self.fill == "close":
            self.pay_out(day + 1)

    def pay_out(self, day):
        """A name whose listing has ended without a price is worth its last one, in cash."""
        prices = self.open if self.fill == "next_open" else self.close
        for name in list(self.shares):
            if not self.listed[day, name] and math.isnan(prices[day, name]):
                self.cash += self.shares.pop(name) * self.mark(day, name)
