"""Where prices stop, by hand and by causality; marks and labels are tested beside the account."""

from dataclasses import replace

import numpy as np
import pytest

from market.panel import Panel
from market.prices.fills import carried_forward
from market.prices.price_limits import price_limits
from market.sources.synthetic.source import Events, Synthetic

EVENTS = Events(listings=0.4, delistings=0.4, halts=0.02)
PANEL = Panel.from_frame(Synthetic(stocks=6, days=60, start="2020-01-01", events=EVENTS, seed=2).read())


def bars(closes: list[float], opens: list[float] | None = None) -> Panel:
    values = np.array([opens or closes, closes]).T[:, None, :]
    on = np.ones((len(closes), 1), dtype=bool)
    dates = np.datetime64("2020-01-01") + np.arange(len(closes))
    return Panel(dates, ("A",), ("open", "close"), values, on, on)


def test_price_limits_by_hand():
    panel = bars([10, 11, 12.09, 13.17, np.nan, 11.9, 10.8], opens=[10, 10.5, 12.1, 12, np.nan, 12, 11.9])
    limits = price_limits(panel, "close", 0.1)
    assert limits.up[:, 0].tolist() == [False, True, True, False, False, False, False]
    assert limits.down[:, 0].tolist() == [False] * 6 + [False]  # after the missing day 11.9 stands against 13.17
    opens = price_limits(panel, "next_open", 0.1)
    assert opens.up[:, 0].tolist() == [False, False, True, False, False, False, False]
    half = np.full((7, 1), 0.1)
    half[2:] = 0.05
    limits = price_limits(panel, "close", half)
    assert limits.up[:, 0].tolist() == [False, True, True, True, False, False, False]
    assert limits.down[:, 0].tolist() == [False] * 5 + [True, True]
    with pytest.raises(ValueError, match="expected a fraction"):
        price_limits(panel, "close", 10.0)


def test_price_limits_are_causal_and_exclude_each_other():
    limits = price_limits(PANEL, "close", 0.01)
    assert limits.up.any()
    assert limits.down.any()
    assert not (limits.up & limits.down).any()
    for stop in (1, 20, 59):
        cut = price_limits(PANEL[:stop], "close", 0.01)
        np.testing.assert_array_equal(cut.up, limits.up[:stop])
        np.testing.assert_array_equal(cut.down, limits.down[:stop])
    spoilt = PANEL.values.copy()
    spoilt[5, :, :4] = 0
    assert not price_limits(replace(PANEL, values=spoilt), "close", 0.01).up[5].any()


def test_the_last_known_value_is_carried_forward():
    column = np.array([[np.nan], [2.0], [np.inf], [np.nan], [3.0]])
    np.testing.assert_array_equal(carried_forward(column)[:, 0], [np.nan, 2, 2, 2, 3])
