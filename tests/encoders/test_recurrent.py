"""The recurrent forecaster satisfies the contract."""

import pytest
import torch

from encoders.baselines.gru import GRU
from encoders.testing.checks import check_shapes
from encoders.testing.windows import make_window
from encoders.windows import InputShape
from tests.encoders.conformance import SetConformance


class TestGRU(SetConformance):
    config = GRU(lookback=8, hidden=32)


class TestDeepGRU(SetConformance):
    config = GRU(lookback=8, hidden=32, layers=3, dropout=0.1)
    overfit_steps = 150


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="windows hold 8 days, the encoder's lookback is 20"):
        GRU().build(TestGRU.shape)


def test_a_batch_without_any_asset_has_a_state() -> None:
    window = make_window(TestGRU.config, TestGRU.shape)
    empty = window._replace(mask=torch.zeros_like(window.mask))
    check_shapes(TestGRU.config.build(TestGRU.shape), empty)


def test_the_order_of_the_days_matters() -> None:
    encoder = TestGRU.config.build(InputShape(8, 5, 3, 4, 7))
    window = make_window(TestGRU.config, TestGRU.shape)
    turned = window.features.flip(1)
    assert not encoder.predict(window.features, window.mask, window.calendar).mean.equal(
        encoder.predict(turned, window.mask, window.calendar).mean
    )
