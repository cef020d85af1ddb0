"""Other worlds: what is kept is kept, what is rewritten is another valid market, and what is rare happens in it."""

from dataclasses import replace

import numpy as np
import pytest

from market.audit.worlds import FREQUENT, RARE, eventful, restated, rewritten, rewritten_after
from market.panel import Panel
from market.prices.money import traded_money
from tests.encoders.tiny import bars


@pytest.fixture(scope="module")
def panel() -> Panel:
    return bars(n_days=400, n_assets=20)


def test_rows_up_to_the_cut_are_kept_and_later_ones_are_not(panel: Panel) -> None:
    other = rewritten_after(panel, 150, rewritten(panel, np.random.default_rng(0)))
    np.testing.assert_array_equal(other.values[:151], panel.values[:151])
    np.testing.assert_array_equal(other.listed[:151], panel.listed[:151])
    np.testing.assert_array_equal(other.tradable[:151], panel.tradable[:151])
    assert not (other.values[151:] == panel.values[151:]).any()


def test_a_rewritten_world_holds_what_seldom_happens(panel: Panel) -> None:
    other = rewritten(panel, np.random.default_rng(0))
    close, listed = other["close"], other.listed
    halted = listed & ~other.tradable
    assert halted.sum() > 100
    assert (np.isnan(close) & listed).sum() > 50
    assert ((other["volume"] == 0) & other.tradable).sum() > 20
    assert (listed[:-1] & ~listed[1:]).any()
    assert (~listed[:-1] & listed[1:]).any()
    moves = close[1:] / close[:-1]
    assert np.isclose(moves, 1.1).any()
    assert np.isclose(moves, 0.9).any()
    assert ((moves > 5) | (moves < 0.3)).any()


def test_bars_are_valid(panel: Panel) -> None:
    other = rewritten(panel, np.random.default_rng(1))
    known = np.isfinite(other["close"])
    top = np.maximum(other["open"], other["close"])[known]
    bottom = np.minimum(other["open"], other["close"])[known]
    assert (other["high"][known] >= top * (1 - 1e-12)).all()
    assert (other["low"][known] <= bottom * (1 + 1e-12)).all()
    assert (other["close"][known] > 0).all()


def test_events_leave_most_cells_alone(panel: Panel) -> None:
    other = eventful(panel, replace(RARE, split=0.0), np.random.default_rng(2))
    same = (other.values == panel.values).all(axis=2) & (other.tradable == panel.tradable)
    assert 0.8 < same[panel.listed].mean() < 0.99
    assert FREQUENT.halted > RARE.halted


def test_flags_stay_flags(panel: Panel) -> None:
    flag = np.zeros((*panel.shape[:2], 1))
    flag[::7] = 1.0
    marked = replace(panel, fields=(*panel.fields, "is_st"), values=np.concatenate([panel.values, flag], axis=2))
    found = rewritten(marked, np.random.default_rng(0))["is_st"]
    assert set(np.unique(found[np.isfinite(found)])) == {0.0, 1.0}


@pytest.mark.parametrize("splits", [True, False])
def test_a_restated_past_has_the_same_returns(panel: Panel, splits: bool) -> None:
    other = restated(panel, np.random.default_rng(0), splits)
    for name in ("open", "close"):
        np.testing.assert_allclose(other[name][1:] / other[name][:-1], panel[name][1:] / panel[name][:-1], rtol=1e-12)
    same_money = np.allclose(traded_money(other), traded_money(panel), equal_nan=True)
    assert same_money == splits  # without an amount or a quoted close, dividends do move it


def test_later_splits_do_not_move_the_money_of_quoted_prices(panel: Panel) -> None:
    quoted = np.stack([panel["close"] * 4, panel["volume"] / 4], axis=-1)  # before a split that was undone
    fields = (*panel.fields, "raw_close", "raw_volume")
    whole = replace(panel, fields=fields, values=np.concatenate([panel.values, quoted], axis=-1))
    other = restated(whole, np.random.default_rng(0), splits=True)
    np.testing.assert_allclose(traded_money(other), traded_money(whole), rtol=1e-12)
    assert not np.allclose(other["raw_close"], whole["raw_close"])
