"""Windows: gathered by day, equal to slices of the panel, whatever the order; nothing unfit gets in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.windows import WindowStore
from market.panel import Panel
from tests.encoders.tiny import DAYS, LOOKBACK, Moves, bars, tiny_data

STORE = tiny_data().store
PANEL = bars()


@given(st.lists(st.integers(LOOKBACK - 1, DAYS - 1), min_size=1, max_size=12))
@settings(max_examples=30)
def test_windows_of_many_days_are_the_windows_of_each(days: list[int]) -> None:
    together = STORE.gather(torch.tensor(days))
    for place, day in enumerate(days):
        alone = STORE.gather(torch.tensor([day]))
        for name, array in together._asdict().items():
            torch.testing.assert_close(array[place], getattr(alone, name)[0], rtol=0, atol=0, equal_nan=True, msg=name)


@pytest.mark.parametrize("day", [LOOKBACK - 1, 60, DAYS - 1])
def test_a_window_holds_the_look_back_and_nothing_later(day: int) -> None:
    window = STORE.gather(torch.tensor([day]))
    rows = slice(day - LOOKBACK + 1, day + 1)
    np.testing.assert_array_equal(window.features[0], STORE.features[rows])
    np.testing.assert_array_equal(window.mask[0], PANEL.listed[rows].all(axis=0))
    close = PANEL["close"]
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(close[rows] / close[day] - 1)
    np.testing.assert_allclose(window.prices[0, :, :, 3], expected, atol=1e-5)
    assert not window.prices[0, -1, :, 3].any()
    assert int(window.day[0]) == day


def test_a_day_without_a_look_back_is_refused() -> None:
    with pytest.raises(ValueError, match=r"day 6 has no look-back of 8 days; start at 7"):
        STORE.gather(torch.tensor([20, LOOKBACK - 2]))


def test_a_feature_that_is_not_finite_is_refused_by_name() -> None:
    features = Moves().compute(PANEL)
    with pytest.raises(ValueError, match=r"feature one of A0 is not finite on 2020-01-01"):
        WindowStore.from_panel(PANEL, features, None, LOOKBACK)


def test_a_panel_shorter_than_the_look_back_is_refused() -> None:
    with pytest.raises(ValueError, match=r"panel has 7 days, fewer than the look-back of 8"):
        tiny_data(PANEL[: LOOKBACK - 1])


def test_features_of_other_days_and_panels_without_a_close_are_refused() -> None:
    features: Panel = replace(Moves().compute(PANEL), values=np.zeros((DAYS, 6, 4), np.float32))
    with pytest.raises(ValueError, match=r"features cover \(159, 6\) days x assets, the panel \(160, 6\)"):
        WindowStore.from_panel(PANEL, features[1:], None, LOOKBACK)
    with pytest.raises(ValueError, match=r"panel has no field 'close' among volume"):
        WindowStore.from_panel(PANEL.select(fields=("volume",)), features, None, LOOKBACK)


def test_a_workspace_holds_the_same_features_until_the_next_batch() -> None:
    workspace = STORE.workspace(3)
    first = STORE.gather(torch.tensor([30, 12, 25]), workspace).features
    assert torch.equal(first, STORE.gather(torch.tensor([30, 12, 25])).features)
    second = STORE.gather(torch.tensor([40, 41]), workspace).features
    assert torch.equal(second, STORE.gather(torch.tensor([40, 41])).features)
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
