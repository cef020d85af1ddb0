"""Other people's back-testers, fed our trades or our targets, arrive at our wealth."""

import math
import warnings

import gymnasium
import numpy as np
import pandas as pd
import pytest

from envs import Costs, LongOnly, SellHoldBuy, Tape
from tests.envs.markets import panel_of, plain_panel

with warnings.catch_warnings():
    # What these three libraries deprecate while they are imported is their own affair.
    for category in (DeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", category)
    import backtesting
    import bt
    import vectorbt

FEE = 1.5e-3
CAPITAL = 1e6  # vectorbt rounds orders worth less than a billionth of a unit of money


def played(env: gymnasium.Env, actions: list) -> dict[str, np.ndarray]:
    """Plays the actions from the first day on and returns what the infos report, one row a step."""
    env.reset(seed=0)
    infos = [env.step(action)[4] for action in actions]
    return {name: np.array([info[name] for info in infos]) for name in infos[0]}


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("fee", [0.0, FEE, 0.02])
def test_vectorbt_replaying_our_trades_has_our_wealth(fill, fee):
    panel = plain_panel(days=80, assets=4, seed=2)
    tape = Tape.from_panel(panel, fill=fill)
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, costs=Costs(fee_rate=fee))
    actions = list(np.random.default_rng(0).normal(0, 2, (79, 5)).astype(np.float32))
    told = played(env, actions)
    shares = told["trades"] / tape.price[:-1]
    # Our rows are decisions; theirs are days with orders, valued at the close of the same day.
    shift = 0 if fill == "close" else 1
    size, price = np.zeros((80, 4)), panel["close"].copy()
    size[shift : shift + 79], price[shift : shift + 79] = CAPITAL * shares, tape.price[:-1]
    portfolio = vectorbt.Portfolio.from_orders(
        pd.DataFrame(panel["close"]),
        size=size,
        size_type="amount",
        price=price,
        fees=fee,
        init_cash=CAPITAL,
        cash_sharing=True,
        group_by=True,
        call_seq="auto",
        freq="D",
    )
    value = portfolio.value().to_numpy()[1:] / CAPITAL
    # At the close of a day they have paid for the orders of that close; we pay for them with the next step.
    paid = np.append(told["cost"][1:], 0.0) if fill == "close" else 0.0
    assert np.abs(value / (told["wealth"] - paid) - 1).max() < 1e-9


@pytest.mark.filterwarnings(
    "ignore::pandas.errors.Pandas4Warning:ffn.core", "ignore::pandas.errors.Pandas4Warning:bt.core"
)
def test_bt_has_our_wealth_at_zero_cost():
    panel = plain_panel(days=60, assets=3, seed=5)
    dates = pd.DatetimeIndex(panel.dates)
    logits = np.random.default_rng(1).normal(0, 1, (60, 4)).astype(np.float32)
    weights = np.exp(logits.astype(np.float64))
    weights /= weights.sum(axis=1, keepdims=True)
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=Tape.from_panel(panel, fill="close"))
    told = played(env, list(logits[:-1]))
    prices = pd.DataFrame(panel["close"], dates, panel.assets)
    targets = pd.DataFrame(weights[:, 1:], dates, panel.assets)
    strategy = bt.Strategy("ours", [bt.algos.WeighTarget(targets), bt.algos.Rebalance()])
    result = bt.run(bt.Backtest(strategy, prices, integer_positions=False, progress_bar=False))
    value = result.prices["ours"].to_numpy()[1:]  # bt puts a day of capital in front
    assert np.abs(value[1:] / value[0] / told["wealth"] - 1).max() < 1e-12


@pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofweek:pandas.errors.Pandas4Warning")
def test_backtesting_py_fills_a_single_stock_at_our_opens():
    panel = plain_panel(days=70, assets=1, seed=8)
    actions = [*map(int, np.random.default_rng(3).integers(0, 3, 66)), 0, 1, 1]  # sold out at the end
    env = gymnasium.make("FactorGym/SingleStock-v0", tape=Tape.from_panel(panel), action=SellHoldBuy())
    scale = 1e-9  # whole shares of a tiny unit are as good as fractions
    bars = pd.DataFrame(
        {name.capitalize(): panel[name][:, 0] * (scale if name != "volume" else 1) for name in panel.fields},
        pd.DatetimeIndex(panel.dates),
    )

    class Replay(backtesting.Strategy):
        def init(self):
            pass

        def next(self):
            day = len(self.data) - 1
            if day < len(actions) and actions[day] == 2 and not self.position:
                self.buy(size=1 - 1e-12)
            elif day < len(actions) and actions[day] == 0:
                self.position.close()

    test = backtesting.Backtest(bars, Replay, cash=1000.0, commission=0.0, trade_on_close=False)
    equity = test.run()._equity_curve["Equity"].to_numpy()
    # It skips the first bar, so its first decision is ours of day 1; play on from there.
    env.reset(options={"day": 1})
    wealth = [env.step(action)[4]["wealth"] for action in actions[1:]]
    assert np.abs(equity[2:] / 1000.0 / np.array(wealth) - 1).max() < 1e-9


def test_targets_before_fees_are_another_convention():
    """Negative control: sizing trades by the wealth before fees leaves other weights; ours are exact after fees."""
    tape = Tape.from_panel(panel_of(np.full((3, 1), 50.0)), fill="close")
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, costs=Costs(fee_rate=0.01))
    env.reset()
    info = env.step(np.array([0.0, math.log(3)], np.float32))[4]
    assert info["weights"] == pytest.approx([0.25, 0.75], abs=1e-7)
    before_fees = 0.75 / (1 - 0.0075)  # 75 % bought of the wealth before the fee, weighed after it
    assert abs(info["weights"][1] - before_fees) > 5e-3


def test_one_asset_reaches_all_but_a_thousandth():
    for n in (1, 29, 500):
        tape = Tape.from_panel(panel_of(np.full((3, n), 50.0)))
        env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, action=LongOnly(), observation="compact")
        env.reset()
        action = env.action_space.low.copy()
        action[-1] = env.action_space.high[-1]
        assert env.step(action)[4]["weights"][-1] > 0.999
