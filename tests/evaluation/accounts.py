"""A small account, kept by counting shares in plain loops: an independent source of backtests."""

import numpy as np

from evaluation.backtest import Backtest


def share_counting_backtest(prices, orders, fee, name="ledger"):
    """Trades shares at the close, `orders` [T, N] a day, and keeps books with a wealth of 1 at the start."""
    n_days, n_assets = orders.shape
    cash, shares, wealth = 1.0, np.zeros(n_assets), 1.0
    rows = {label: [] for label in ("returns", "weights", "turnover", "costs", "trades", "profits")}
    for day in range(n_days):
        profit = shares * (prices[day + 1] - prices[day])
        trade = orders[day] * prices[day + 1]
        before = cash + shares @ prices[day + 1]
        old = np.append(cash, shares * prices[day + 1]) / before
        shares, paid = shares + orders[day], fee * np.abs(trade).sum()
        cash -= trade.sum() + paid
        after = cash + shares @ prices[day + 1]
        new = np.append(cash, shares * prices[day + 1]) / after
        rows["returns"].append(after / wealth - 1)
        rows["weights"].append(new)
        rows["turnover"].append(np.abs(new - old).sum() / 2)
        rows["costs"].append(paid)
        rows["trades"].append(trade)
        rows["profits"].append(profit)
        wealth = after
    dates = np.datetime64("2020-01-02") + np.arange(n_days)
    assets = tuple(f"A{k}" for k in range(n_assets))
    return Backtest(name, assets, dates, **{label: np.array(row) for label, row in rows.items()})


def random_backtest(seed=0, n_days=60, n_assets=3, fee=1e-3):
    """An account that now and then buys or sells all of one asset."""
    rng = np.random.default_rng(seed)
    prices = np.cumprod(1 + 0.02 * rng.normal(size=(n_days + 1, n_assets)), axis=0)
    orders, held = np.zeros((n_days, n_assets)), np.zeros(n_assets)
    for day in range(n_days):
        asset = rng.integers(n_assets)
        orders[day, asset] = -held[asset] if held[asset] else 0.2
        held += orders[day]
    return share_counting_backtest(prices, orders, fee)
