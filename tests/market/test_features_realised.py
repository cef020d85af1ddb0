"""Realised labels stand where they are first known, and the market's columns use listed assets of the past alone."""

from dataclasses import replace

import numpy as np
import pytest

from market.features.realised import MARKET, REALISED, WithRealisedReturns, realised
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.by_column import NoScaling, PrefixScaling, ScalingByName
from market.scaling.scalers import CrossSectionalZScore, RobustZScore
from tests.encoders.tiny import Moves, bars

LABELS = [Label(fill, horizon) for fill in ("close", "next_open", "next_close") for horizon in (1, 3)]
BASE = Moves()
FEATURES = WithRealisedReturns(BASE, Label("next_close", 1))


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_a_realised_label_ends_today(label: Label) -> None:
    panel = bars(late=False)
    price = panel["open" if label.fill == "next_open" else "close"]
    h = label.horizon
    expected = np.full(price.shape, np.nan)
    expected[h:] = price[h:] / price[:-h] - 1
    expected[: label.span] = np.nan
    np.testing.assert_allclose(realised(panel, label), expected)


def test_every_column_on_a_shorter_panel_is_the_same() -> None:
    panel = bars()
    whole = FEATURES.compute(panel)
    for stop in (30, 61, 120):
        np.testing.assert_array_equal(FEATURES.compute(panel[:stop]).values, whole.values[:stop])


def test_there_are_sixty_three_columns_of_the_market_equal_for_all_listed_assets() -> None:
    panel = bars()
    computed = FEATURES.compute(panel)
    assert FEATURES.n_market == 63
    assert computed.fields[4] == REALISED
    assert all(name.startswith(MARKET) for name in computed.fields[5:])
    assert len(set(computed.fields)) == len(computed.fields) == 68
    market = computed.values[..., 5:]
    assert np.isnan(market[~panel.listed]).all()
    np.testing.assert_array_equal(market[100:, 0], market[100:, -1])
    assert np.isfinite(market[2:, 0]).all()


def test_the_market_by_hand() -> None:
    panel = bars(late=False)
    computed = FEATURES.compute(panel)
    returns = panel["close"][1:] / panel["close"][:-1] - 1
    traded = (panel["close"] * panel["volume"])[1:]
    day = 80
    expected = {
        "MARKET_EQUAL": returns[day - 1].mean(),
        "MARKET_EQUAL_MEAN5": returns[day - 5 : day].mean(axis=1).mean(),
        "MARKET_EQUAL_STD10": returns[day - 10 : day].mean(axis=1).std(ddof=1),
        "MARKET_TURNOVER": np.average(returns[day - 1], weights=traded[day - 1]),
        "MARKET_TURNOVER_ACTIVITY5": traded[day - 5 : day].sum(axis=1).mean() / traded[day - 1].sum(),
        "MARKET_BREADTH": np.sign(returns[day - 1]).mean(),
        "MARKET_BREADTH_ACTIVITY5": returns[day - 5 : day].std(axis=1).mean() / returns[day - 1].std(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(computed[name][day, 0], value, rtol=1e-4, atol=1e-7, err_msg=name)


def test_assets_that_are_not_listed_move_nothing() -> None:
    panel = bars()
    loud = np.where(panel.listed[..., None], panel.values, 1e6)
    one, other = (FEATURES.compute(replace(panel, values=values)).values[..., 4:] for values in (panel.values, loud))
    np.testing.assert_array_equal(one, other)


def test_without_volume_only_returns_and_breadth_are_known() -> None:
    panel = bars()
    closes = panel.select(fields=["close"])
    with_close = WithRealisedReturns(Closes(), Label("next_close", 1), (5,)).compute(closes)
    known = {name for name in with_close.fields if np.isfinite(with_close[name][60:, 0]).all()}
    assert {"MARKET_EQUAL", "MARKET_EQUAL_STD5", "MARKET_BREADTH_ACTIVITY5"} <= known
    assert not {"MARKET_TURNOVER", "MARKET_EQUAL_ACTIVITY5"} & known


class Closes(Moves):
    """The close itself."""

    def compute(self, panel: Panel) -> Panel:
        return replace(panel, values=panel.values.astype(np.float32))


SCALING = ScalingByName(
    CrossSectionalZScore(), (PrefixScaling(REALISED, NoScaling()), PrefixScaling(MARKET, RobustZScore()))
)


def test_each_group_is_scaled_in_its_own_way_and_restored() -> None:
    computed, days = FEATURES.compute(bars()), slice(0, 100)
    scaler = SCALING.fit(computed, days)
    scaled = scaler.transform(computed)
    base = CrossSectionalZScore().fit(computed.select(fields=computed.fields[:4]), days)
    np.testing.assert_array_equal(
        scaled.values[..., :4], base.transform(computed.select(fields=computed.fields[:4])).values
    )
    np.testing.assert_array_equal(scaled.values[..., 4], np.nan_to_num(computed.values[..., 4]))
    market = computed.select(fields=computed.fields[5:])
    fitted = RobustZScore().fit(market, days)
    np.testing.assert_array_equal(scaled.values[..., 5:], fitted.transform(market).values)
    arrays = scaler.arrays()
    assert all(array.shape == (68,) for array in arrays.values())
    np.testing.assert_array_equal(SCALING.restore(computed.fields, arrays).transform(computed).values, scaled.values)


def test_a_name_that_is_not_there_or_not_in_its_place_is_refused() -> None:
    computed = FEATURES.compute(bars())
    for named in ((PrefixScaling("NOTHING", NoScaling()),), SCALING.named[::-1]):
        with pytest.raises(ValueError, match="name the groups in the order of the columns"):
            ScalingByName(CrossSectionalZScore(), named).fit(computed, slice(0, 100))
