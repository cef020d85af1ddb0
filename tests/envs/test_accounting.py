"""The trade is self-financing to the last digit; closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import BatchMarket, Costs, LongOnly, LongShort, Position, SellHoldBuy, Tape, Templates
from envs.account_types import RUIN_WEALTH
from envs.accounting import solve_proportional, solve_with_impact, trade_cost
from envs.execution import impact_scale
from tests.envs.markets import panel_of, plain_panel

WEIGHTS = st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda xs: sum(xs) > 0.1)
FLAT = panel_of(np.full((6, 2), 50.0))


def shares_of(numbers: list[float]) -> np.ndarray:
    return np.array(numbers) / sum(numbers)


def market_of(panel, costs=Costs(), action=LongOnly(), fill="close", **kwargs):  # noqa: B008 - frozen
    market = BatchMarket(Tape.from_panel(panel, fill=fill, **kwargs), costs=costs, action=action, autoreset=False)
    market.reset(seed=0)
    return market


@settings(max_examples=300)
@given(WEIGHTS, st.data(), st.floats(0, 0.2), st.floats(0, 0.2))
def test_proportional_costs_are_solved_to_the_last_digit(numbers, data, buy, sell):
    w = shares_of(numbers)[1:]
    h = shares_of(data.draw(st.lists(st.floats(0.01, 1), min_size=len(numbers), max_size=len(numbers))))[1:]
    mu = solve_proportional(w, h, 1.0, 1.0, buy, sell)
    paid = sum(trade_cost(mu * a - b, buy, sell, 0.0) for a, b in zip(w, h, strict=True))
    assert mu + paid == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=300)
@given(WEIGHTS, st.data(), st.floats(0, 0.05), st.floats(0, 0.3))
def test_impact_is_solved_to_twelve_digits(numbers, data, fee, impact):
    w = shares_of(numbers)[1:]
    h = shares_of(data.draw(st.lists(st.floats(0.01, 1), min_size=len(numbers), max_size=len(numbers))))[1:]
    coefficients = np.full(len(w), impact)
    mu = solve_with_impact(w, h, 1.0, 1.0, fee, fee, coefficients)
    paid = sum(trade_cost(mu * a - b, fee, fee, impact) for a, b in zip(w, h, strict=True))
    assert mu + paid == pytest.approx(1.0, abs=1e-12)
    assert mu <= 1.0


def test_from_cash_the_closed_form_holds():
    market = market_of(FLAT, Costs(fee_rate=0.01))
    info = market.step(np.array([[math.log(0.2), math.log(0.3), math.log(0.5)]]))[4]
    mu = 1 / (1 + 0.01 * 0.8)
    assert info["wealth"][0] == pytest.approx(mu, abs=1e-15)
    assert info["cost"][0] == pytest.approx(1 - mu, abs=1e-15)
    assert info["weights"][0] == pytest.approx([0.2, 0.3, 0.5], abs=1e-15)
    assert info["turnover"][0] == pytest.approx(0.8, abs=1e-15)


def test_buying_and_selling_have_their_own_rates():
    costs = Costs(fee_rate=0.01, sell_fee_rate=0.03, half_spread=0.005)
    market = market_of(panel_of(np.full((6, 1), 50.0)), costs, SellHoldBuy())
    assert market.step([2])[4]["wealth"][0] == pytest.approx(1 / 1.015, abs=1e-15)
    assert market.step([1])[4]["cost"][0] == 0.0
    assert market.step([0])[4]["wealth"][0] == pytest.approx((1 - 0.035) / 1.015, abs=1e-15)


def test_the_square_root_impact_is_that_of_the_law():
    """One asset, bought from cash with everything: mu + k sigma sqrt(mu V capital / ADV) mu = 1."""
    panel = plain_panel(days=40, assets=1)
    costs = Costs(impact=0.9, capital=2e6)
    tape = Tape.from_panel(panel, start="2020-01-30", fill="close")
    market = BatchMarket(tape, costs=costs, action=SellHoldBuy())
    market.reset()
    mu = 1 - market.step([2])[4]["cost"][0]
    closes = pd.Series(panel["close"][:, 0])
    day = 29  # the row of 2020-01-30
    volatility = closes.pct_change().fillna(0)[day - 19 : day + 1].std()
    volume = (closes * panel["volume"][:, 0])[day - 19 : day + 1].mean()
    law = 0.9 * volatility * math.sqrt(mu * 2e6 / volume)
    assert mu + law * mu == pytest.approx(1.0, abs=1e-12)
    assert law > 1e-3


def test_the_impact_scale_uses_the_past_alone():
    panel = plain_panel(days=50, assets=3)
    whole = impact_scale(panel)
    assert np.array_equal(impact_scale(panel[:30]), whole[:30])


def test_interest_is_paid_on_cash_once_a_day():
    for fill in ("close", "next_open", "next_close"):
        market = market_of(FLAT, Costs(cash_rate=0.01), Templates(), fill)
        wealth = [market.step([1])[4]["wealth"][0] for _ in range(5)]
        assert wealth == pytest.approx([1.01**k for k in range(1, 6)], rel=1e-14)


@pytest.mark.parametrize(("fill", "unpaid"), [("close", 0), ("next_open", 0), ("next_close", 1)])
def test_a_flat_short_loses_only_the_borrow_fee_of_each_day(fill, unpaid):
    """With next_close the position is opened at the close of the first step, so that day costs nothing."""
    market = market_of(panel_of(np.full((6, 1), 50.0)), Costs(borrow_rate=0.002), TargetShort, fill)
    market.step([[-1.0]])
    for _ in range(4):
        info = market.step([[-1.0]])[4]
    days = 5 - unpaid
    assert info["wealth"][0] == pytest.approx((1 - 0.002) ** days, rel=1e-12)


TargetShort = Position(low=-1.0)


def test_flat_prices_lose_exactly_the_costs():
    market = market_of(FLAT, Costs(fee_rate=0.003, half_spread=0.001))
    paid = 0.0
    for action in np.random.default_rng(0).normal(0, 3, (5, 1, 3)):
        info = market.step(action)[4]
        paid += info["cost"][0]
        assert info["gross_return"][0] == pytest.approx(0.0, abs=1e-15)
    assert paid > 0
    assert info["wealth"][0] == pytest.approx(1 - paid, abs=1e-14)


def test_the_gross_return_is_what_the_day_earned_before_the_cost_of_its_trade():
    panel = plain_panel(days=10, assets=3)
    free, dear = market_of(panel), market_of(panel, Costs(fee_rate=0.01))
    action = np.array([[0.0, 1.0, 2.0, 3.0]])
    expected, info = free.step(action)[4], dear.step(action)[4]
    assert info["gross_return"][0] == pytest.approx(expected["gross_return"][0], abs=1e-14)
    assert info["gross_return"][0] == pytest.approx(expected["wealth"][0] - 1, abs=1e-14)


def test_halted_assets_keep_their_value_and_the_others_share_the_rest():
    tradable = np.ones((4, 3), bool)
    tradable[1, 0] = False
    market = market_of(panel_of(np.full((4, 3), 50.0), tradable=tradable), Costs(fee_rate=0.01))
    market.step(np.log([[0.1, 0.5, 0.2, 0.2]]))
    info = market.step(np.log([[0.3, 0.1, 0.2, 0.4]]))[4]
    kept = info["weights"][0][1]
    assert info["trades"][0][0] == 0.0
    assert kept == pytest.approx(0.5 * (1 - 0.5 * 0.0) / (1 - info["cost"][0] / (1 / (1 + 0.009))), abs=1e-3)
    others = info["weights"][0][[0, 2, 3]]
    assert others / others.sum() == pytest.approx(np.array([0.3, 0.2, 0.4]) / 0.9, abs=1e-14)


def test_a_halt_that_leaves_next_to_nothing_loses_no_digits():
    """The open assets were asked for a millionth in all; what they share must still be what there is."""
    tradable = np.ones((4, 2), bool)
    tradable[1, 0] = False
    market = market_of(panel_of(np.full((4, 2), 50.0), tradable=tradable))
    market.step(np.log([[0.5, 0.3, 0.2]]))
    info = market.step([[-7.0, 7.0, -6.5]])[4]
    assert info["cost"][0] == pytest.approx(0.0, abs=1e-15)
    assert info["weights"][0].sum() == pytest.approx(1.0, abs=1e-15)


def test_price_limits_stop_buying_at_the_top_and_selling_at_the_bottom():
    close = np.array([[100.0, 100.0], [110.0, 90.0], [110.0, 90.0]])
    market = market_of(
        panel_of(close), action=Templates(((0.5, 0.25, 0.25), (1, 0, 0), (0, 1, 0), (0, 0, 1))), price_limit=0.1
    )
    market.step([1])
    up, down = market.account[0, 1:]
    info = market.step([3])[4]  # everything into the asset at its upper limit, out of the one at its lower limit
    assert info["weights"][0] == pytest.approx([1 - up - down, up, down], abs=1e-15)


def test_a_delisted_asset_pays_its_last_price_times_the_delisting_return():
    close = np.array([[50.0], [60.0], [np.nan], [np.nan]])
    listed = np.isfinite(close)
    for fill in ("close", "next_close"):
        market = market_of(panel_of(close, listed=listed), action=SellHoldBuy(), fill=fill, delisting_return=-0.3)
        market.step([2])
        info = market.step([2])[4]
        gain = 1.2 if fill == "close" else 1.0
        assert info["wealth"][0] == pytest.approx(gain * 0.7, abs=1e-15)
        assert market.account[0].tolist() == [1.0, 0.0]
        assert market.step([2])[4]["weights"][0].tolist() == [1.0, 0.0]


def test_weight_on_an_asset_that_is_not_listed_is_cash():
    close = np.array([[50.0, np.nan], [50.0, np.nan], [50.0, 20.0], [50.0, 22.0]])
    market = market_of(panel_of(close, listed=np.isfinite(close)))
    asked = np.log([[0.2, 0.3, 0.5]])
    assert market.step(asked)[4]["weights"][0] == pytest.approx([0.7, 0.3, 0.0])
    market.step(asked)
    assert market.step(asked)[4]["weights"][0] == pytest.approx([0.2, 0.3, 0.5])


def test_without_cash_the_listed_assets_share_everything():
    close = np.array([[50.0, np.nan], [50.0, 20.0], [50.0, 20.0]])
    market = market_of(panel_of(close, listed=np.isfinite(close)), action=LongOnly(cash=False))
    assert market.step(np.zeros((1, 2)))[4]["weights"][0].tolist() == [0.0, 1.0, 0.0]
    assert market.step(np.zeros((1, 2)))[4]["weights"][0].tolist() == [0.0, 0.5, 0.5]


def test_ruin_terminates_and_the_end_of_data_truncates():
    market = market_of(panel_of([[10.0], [25.0], [25.0], [25.0]]), action=Position(low=-1.0))
    _, reward, terminated, truncated, info = market.step([[-1.0]])
    assert terminated[0]
    assert not truncated[0]
    assert info["wealth"][0] == RUIN_WEALTH
    assert reward[0] == pytest.approx(math.log(RUIN_WEALTH))
    market = market_of(panel_of([[10.0], [11.0]]), action=Position(low=-1.0))
    _, _, terminated, truncated, _ = market.step([[-1.0]])
    assert not terminated[0]
    assert truncated[0]


def test_the_broker_closes_an_account_below_its_margin():
    prices = panel_of([[10.0], [14.0], [14.0], [14.0]])
    for margin, expected in ((0.4, False), (0.5, True)):  # wealth 0.6 over a short position of 1.4 is 43 %
        market = market_of(prices, Costs(margin=margin), Position(low=-1.0))
        _, _, terminated, _, info = market.step([[-1.0]])
        assert terminated[0] == expected
        assert info["wealth"][0] == pytest.approx(0.6)


def test_trades_rebuild_the_positions():
    panel = plain_panel(days=30, assets=4)
    tape = Tape.from_panel(panel)
    market = BatchMarket(tape, costs=Costs(fee_rate=2e-3), autoreset=False)
    market.reset()
    shares, cash = np.zeros(4), 1.0
    for day, action in enumerate(np.random.default_rng(0).normal(0, 2, (29, 1, 5))):
        info = market.step(action)[4]
        shares += info["trades"][0] / tape.price[day]
        cash -= info["trades"][0].sum() + info["cost"][0]
        assert cash + shares @ panel["close"][day + 1] == pytest.approx(info["wealth"][0], rel=1e-12)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("fee_rate", -1e-3, "fee_rate is -0.001"),
        ("fee_rate", math.nan, "fee_rate is nan"),
        ("half_spread", 1.5, "half_spread is 1.5, expected a fraction below 1, not percent"),
        ("fee_rate", 10.0, "fee_rate is 10.0, expected a fraction below 1, not percent"),
        ("sell_fee_rate", 2.0, "sell_fee_rate is 2.0"),
        ("cash_rate", -1.0, "cash_rate is -1.0"),
        ("margin", 1.0, "margin is 1.0"),
    ],
)
def test_impossible_costs_are_refused(field, value, said):
    with pytest.raises(ValueError, match=said):
        Costs(**{field: value})


def test_impact_without_volumes_is_refused():
    panel = plain_panel().select(fields=("open", "close"))
    with pytest.raises(ValueError, match="impact needs volumes"):
        BatchMarket(Tape.from_panel(panel), costs=Costs(impact=1.0))


def test_long_short_never_levers_up_around_a_halt():
    tradable = np.ones((3, 2), bool)
    tradable[0, 1] = False
    market = market_of(panel_of(np.full((3, 2), 50.0), tradable=tradable), action=LongShort(gross=1.0))
    info = market.step([[0.5, 0.5]])[4]
    assert info["weights"][0] == pytest.approx([0.5, 0.5, 0.0])
