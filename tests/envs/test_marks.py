"""One rule for what a position is worth: labels, accounts, histories and summaries agree on every market."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.history import History
from envs import BatchMarket, Tape
from envs.actions.portfolio import Templates
from envs.execution import BUY, impact_scale
from evaluation.reports.panel import summarise
from market.panel import Panel
from market.prices.fills import FILLS, marked_prices, simple_returns
from market.prices.labels import Label
from market.prices.money import traded_money
from tests.envs.markets import messy_panel, panel_of, plain_panel

CASH, FIRST_ASSET = 1, 3  # actions of `Templates`; 0 keeps the account as it is


def one_share(tape: Tape, day: int, asset: int, horizon: int) -> float:
    """Buys one asset with everything at the fill of `day`, and returns its worth `horizon` days after the fill."""
    market = BatchMarket(tape, action=Templates(), autoreset=False)
    market.reset(options={"day": day})
    delayed = tape.fill != "close"
    for step in range(horizon + delayed):
        if step == horizon and tape.fill == "next_open":  # the label ends at this open, the step at its close
            return float(market.wealth[0] * (1 + market.account[0, 1 + asset] * tape.before[day + step, asset]))
        market.step(np.array([FIRST_ASSET + asset if step == 0 else 0]))
    return float(market.wealth[0])


def left_and_back(panel: Panel, seed: int) -> Panel:
    """Takes assets off the list for single days, with and without their prices, and quotes halted days at random."""
    rng = np.random.default_rng(seed)
    listed = panel.listed & (rng.random(panel.listed.shape) > 0.06)
    values = panel.values.copy()
    values[~listed & (rng.random(listed.shape) < 0.5)] = np.nan
    halted = listed & ~panel.tradable
    values[halted] *= np.exp(rng.normal(0, 0.5, int(halted.sum())))[:, None]
    return replace(panel, values=values, listed=listed, tradable=panel.tradable & listed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(FILLS), st.integers(1, 4))
def test_every_buyable_label_is_what_a_one_share_account_earns(seed, fill, horizon):
    panel = left_and_back(messy_panel(days=14, assets=2, seed=seed, halts=0.2, absent=0.1, changes=True), seed)
    config = Label(fill, horizon)
    label, tape = config.compute(panel), Tape.from_panel(panel, fill=fill)
    for day in range(len(panel) - config.span):
        for asset in range(2):
            if tape.status[day, asset] & BUY:
                earned = one_share(tape, day, asset, horizon) - 1
                assert label[day, asset] == pytest.approx(earned, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_histories_and_summaries_mark_like_the_account(seed):
    panel = left_and_back(messy_panel(days=30, assets=3, seed=seed, halts=0.2, absent=0.1, changes=False), seed)
    tape = Tape.from_panel(panel, fill="close")
    earned = (1 + tape.before[:-1]) * (1 + tape.after[:-1]) - 1
    seen = History.of(tape, panel).returns[1:]
    held = panel.listed[1:] & panel.listed[:-1] & np.isfinite(seen)
    np.testing.assert_allclose(seen[held], earned[held], atol=1e-12)
    halted = panel.listed & ~panel.tradable
    assert not np.nan_to_num(simple_returns(panel)[halted]).any()
    shown = [float(place.detail.rstrip("%").replace(",", "")) / 100 for place in summarise(panel).moves[:1]]
    assert shown[0] == pytest.approx(seen.flat[np.nanargmax(np.abs(seen))], abs=5e-4)


def test_a_quote_of_a_halted_day_is_no_price():
    tradable = np.ones((4, 1), bool)
    tradable[1] = False
    panel = panel_of([[10.0], [99.0], [12.0], [12.0]], tradable=tradable)
    assert marked_prices(panel, "close")[:, 0].tolist() == [10, 10, 12, 12]
    np.testing.assert_allclose(Label("close").compute(panel)[:, 0], [0, np.nan, 0, np.nan])


def with_fields(panel: Panel, **fields: np.ndarray) -> Panel:
    values = np.concatenate([panel.values, *(field[:, :, None] for field in fields.values())], axis=2)
    return replace(panel, fields=(*panel.fields, *fields), values=values)


def test_splits_and_dividends_to_come_do_not_change_the_impact_of_the_past():
    quoted = plain_panel(days=40, assets=2)
    adjusted = with_fields(quoted, raw_close=quoted["close"].copy(), raw_volume=quoted["volume"].copy())
    adjusted.values[:, :, :4] *= 0.25 * 0.9  # a split and a dividend after the last day
    adjusted.values[:, :, 4] *= 4
    np.testing.assert_allclose(impact_scale(adjusted), impact_scale(quoted), rtol=1e-12)


def test_the_money_that_a_vendor_counts_outranks_price_times_volume():
    quoted = plain_panel(days=10, assets=2)
    amount = np.full(quoted.listed.shape, 5e6)
    amount[3, 0] = np.nan
    money = traded_money(with_fields(quoted, amount=amount))
    expected = np.where(np.isnan(amount), quoted["close"] * quoted["volume"], amount)
    np.testing.assert_allclose(money, expected)
    assert np.isnan(traded_money(quoted.select(fields=("open", "close")))).all()
    assert impact_scale(quoted.select(fields=("open", "close"))) is None
