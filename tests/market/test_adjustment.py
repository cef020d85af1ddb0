from dataclasses import replace

import numpy as np
import pytest

from market.panel import Panel
from market.preparation.adjustment import adjusted
from market.sources.synthetic.source import Events, Synthetic

EVENTS = Events(listings=0.3, delistings=0.3, halts=0.01, splits=0.005, adjusted=False)
MARKET = Synthetic(stocks=12, days=250, events=EVENTS)


def raw_panel() -> Panel:
    return Panel.from_frame(MARKET.read())


def test_adjusted_bars_are_those_of_a_market_without_splits():
    smooth = Panel.from_frame(replace(MARKET, events=replace(EVENTS, adjusted=True)).read())
    panel = adjusted(raw_panel())
    assert panel.fields == (*smooth.fields, "raw_close")
    np.testing.assert_allclose(panel.values[:, :, :-1], smooth.values, rtol=1e-12)
    np.testing.assert_array_equal(panel["raw_close"], raw_panel()["close"])
    np.testing.assert_array_equal(panel["close"], raw_panel()["adj_close"])
    assert panel.source["adjusted"] is True
    returns = np.diff(np.log(panel["close"]), axis=0)
    assert np.nanmin(returns) > -0.4 > np.nanmin(np.diff(np.log(raw_panel()["close"]), axis=0))


def test_vwap_is_a_price_and_other_fields_are_left_alone():
    raw = raw_panel()
    extra = np.concatenate([raw.values, raw.values[:, :, 3:4], raw.values[:, :, 3:4]], axis=2)
    panel = adjusted(replace(raw, fields=(*raw.fields, "vwap", "preclose"), values=extra))
    assert panel.fields == ("open", "high", "low", "close", "volume", "raw_close", "vwap", "preclose")
    np.testing.assert_allclose(panel["vwap"], panel["close"])
    np.testing.assert_array_equal(panel["preclose"], raw["close"])
    np.testing.assert_array_equal(panel["volume"], raw["volume"])


def test_the_input_is_left_alone():
    raw = raw_panel()
    before = raw.values.copy()
    raw.values.flags.writeable = False
    adjusted(raw)
    np.testing.assert_array_equal(raw.values, before)


@pytest.mark.parametrize("bad", [0.0, -1.5, np.nan, np.inf])
def test_impossible_adjusted_closes_are_refused_with_their_place(bad):
    raw = raw_panel()
    raw["adj_close"][7, 0] = bad
    with pytest.raises(ValueError, match=rf"adj_close must be positive .* in 1 cells: S00 {raw.dates[7]} \({bad:g}\);"):
        adjusted(raw)
    raw["adj_close"][8:40, 0] = bad
    with pytest.raises(ValueError, match=r"in 33 cells: .*, \.\.\.; repair"):
        adjusted(raw)


def test_impossible_closes_are_refused():
    raw = raw_panel()
    raw["close"][3, 0] = 0
    with pytest.raises(ValueError, match=r"close must be positive .* S00"):
        adjusted(raw)


def test_a_panel_without_adj_close_is_refused():
    with pytest.raises(ValueError, match="no field 'adj_close'"):
        adjusted(adjusted(raw_panel()))
