"""Traded money is what was paid that day: later splits and dividends do not move it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from market.panel import Panel
from market.preparation.adjustment import adjusted
from market.prices.money import traded_money
from tests.encoders.tiny import bars


def with_field(panel: Panel, name: str, values: np.ndarray) -> Panel:
    return replace(panel, fields=(*panel.fields, name), values=np.concatenate([panel.values, values[..., None]], 2))


def test_an_amount_is_taken_as_it_is() -> None:
    panel = bars(late=False)
    amount = np.random.default_rng(0).lognormal(15, 1, panel.shape[:2])
    np.testing.assert_array_equal(traded_money(with_field(panel, "amount", amount)), amount)


def test_a_dividend_to_come_moves_the_adjusted_close_but_not_the_money() -> None:
    frame = bars(late=False).to_frame()
    later = frame["date"] >= pd.Timestamp("2020-05-01")
    factor = np.where(later, 1.0, 0.9)
    paid = Panel.from_frame(frame.assign(adj_close=frame["close"] * factor))
    one, other = adjusted(paid), Panel.from_frame(frame)
    assert not np.allclose(one["close"], other["close"])
    np.testing.assert_allclose(traded_money(one), traded_money(other), rtol=1e-12)


def test_halted_days_and_days_without_volume_have_none() -> None:
    panel = bars(late=False)
    values, tradable = np.array(panel.values), np.array(panel.tradable)
    values[3, 0, 4], tradable[4, 1] = 0.0, False
    money = traded_money(replace(panel, values=values, tradable=tradable))
    assert np.isnan(money[3, 0])
    assert np.isnan(money[4, 1])
    assert np.isfinite(money).sum() == money.size - 2


def test_without_volume_nothing_is_known() -> None:
    assert np.isnan(traded_money(bars().select(fields=["close"]))).all()
