"""The average price of a day, from amount and volume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.features.alpha158 import Alpha158
from market.features.alpha360 import Alpha360
from market.features.union import FeatureUnion
from market.panel import Panel
from market.prices.vwap import with_vwap

FIELDS = ("open", "high", "low", "close", "volume", "amount")


def market(seed: int, unit: float = 1.0, n_days: int = 80) -> tuple[Panel, np.ndarray]:
    """A panel of quoted prices, and the average price of each day in the same units."""
    rng = np.random.default_rng(seed)
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, (n_days, 3)), 0))
    high, low = (
        close * np.exp(rng.uniform(0.002, 0.03, close.shape)),
        close * np.exp(-rng.uniform(0.002, 0.03, close.shape)),
    )
    vwap = low + (high - low) * rng.uniform(0.1, 0.9, close.shape)
    volume = rng.uniform(1e4, 1e6, close.shape)
    values = np.stack([close, high, low, close, volume, vwap * volume * unit], -1)
    listed = np.ones(close.shape, np.bool_)
    return Panel(DAYS[:n_days], ("A", "B", "C"), FIELDS, values, listed, listed), vwap


DAYS = np.arange("2020-01-01", "2020-12-31", dtype="datetime64[D]")


@given(seed=st.integers(0, 50), unit=st.sampled_from([1.0, 100.0, 0.01, 1000.0]))
def test_quoted_prices_give_the_average_price_exactly_whatever_the_lots(seed: int, unit: float) -> None:
    panel, vwap = market(seed, unit)
    factor = np.where(np.arange(len(panel)) < 40, 0.3712, 1.0)[:, None]  # a split that was adjusted for
    values = np.concatenate([panel.values, panel["close"][..., None]], -1)
    values[..., :4] *= factor[..., None]
    fields = (*FIELDS, "raw_close")
    found = with_vwap(Panel(panel.dates, panel.assets, fields, values, panel.listed, panel.tradable))["vwap"]
    np.testing.assert_allclose(found, vwap * factor, rtol=1e-9)


@given(seed=st.integers(0, 20), level=st.floats(0.01, 100))
def test_a_restated_past_moves_no_ratio_to_the_bar(seed: int, level: float) -> None:
    panel, _ = market(seed)
    values = panel.values.copy()
    values[..., :4] *= level
    other = Panel(panel.dates, panel.assets, FIELDS, values, panel.listed, panel.tradable)
    before, after = (with_vwap(one)["vwap"] / one["close"] for one in (panel, other))
    np.testing.assert_allclose(after, before, rtol=1e-9)


def test_prices_whose_quotes_are_unknown_give_it_within_thousandths() -> None:
    panel, vwap = market(2)
    assert np.abs(with_vwap(panel)["vwap"] / vwap - 1)[20:].max() < 0.006


def test_adjusted_prices_give_it_within_thousandths_of_the_adjustment() -> None:
    panel, vwap = market(3)
    factor = np.where(np.arange(len(panel)) < 40, 0.3712, 0.7424)[:, None]  # a split that was adjusted for
    values = panel.values.copy()
    values[..., :4] *= factor[..., None]
    found = with_vwap(Panel(panel.dates, panel.assets, FIELDS, values, panel.listed, panel.tradable))["vwap"]
    error = np.abs(found / (vwap * factor) - 1)
    assert np.median(error) < 0.003
    assert error[35:40].max() < 0.006
    assert error[70:].max() < 0.006


def test_it_lies_within_the_bar_and_is_unknown_where_nothing_was_traded() -> None:
    panel, _ = market(4)
    values = panel.values.copy()
    values[10, 0, 4:] = 0.0  # a halt
    values[11, 1, 1] = np.nan
    values[13, 0, 4:] = 1e-310, 1e10  # money over almost no shares
    listed = np.array(panel.listed)
    listed[12, 2] = False
    found = with_vwap(Panel(panel.dates, panel.assets, FIELDS, values, listed, listed))["vwap"]
    assert np.isnan(found[[10, 11, 12, 13], [0, 1, 2, 0]]).all()
    assert np.isnan(found).sum() == 4
    known = np.isfinite(found)
    assert (found[known] <= values[..., 1][known]).all()
    assert (found[known] >= values[..., 2][known]).all()


@pytest.mark.parametrize("cut", [1, 5, 37, 79])
def test_no_average_price_depends_on_later_days(cut: int) -> None:
    panel, _ = market(5)
    np.testing.assert_array_equal(with_vwap(panel[:cut])["vwap"], with_vwap(panel)["vwap"][:cut])


def test_a_panel_that_has_it_or_cannot_tell_it_stays_the_same() -> None:
    panel, _ = market(6)
    once = with_vwap(panel)
    assert with_vwap(once) is once
    bare = panel.select(fields=("open", "high", "low", "close", "volume"))
    assert with_vwap(bare) is bare


def test_feature_sets_that_read_it_take_it_from_amount_and_volume() -> None:
    panel, _ = market(7)
    found = Alpha158().compute(panel)
    np.testing.assert_allclose(found["VWAP0"], with_vwap(panel)["vwap"] / panel["close"], rtol=1e-6)
    assert len(Alpha360().compute(panel).fields) == 360


def test_joined_sets_end_in_the_whole_of_the_last_one() -> None:
    panel, _ = market(8)
    both, last = FeatureUnion().compute(panel), Alpha360().compute(panel)
    assert both.fields[-360:] == last.fields
    assert len(both.fields) == 158 + 360 - 4
    np.testing.assert_array_equal(both.values[..., -360:], last.values)
    first = Alpha158().compute(panel)
    np.testing.assert_array_equal(both.select(fields=first.fields).values, first.values)
