"""The conformance checks as test classes. A test class inherits `Conformance`, or `SetConformance` where assets are a
set.

class TestStorm(SetConformance):
    config = Storm(...)
"""

import pytest
import torch

from encoders.base import Encoder, EncoderConfig
from encoders.testing.checks import (
    check_bf16,
    check_empty_day,
    check_evaluation_pure,
    check_gradients,
    check_infer_pure,
    check_labels_invisible,
    check_loss,
    check_masked_equals_removed,
    check_masked_invisible_to_training,
    check_masked_values_invisible,
    check_other_days_invisible,
    check_overfits,
    check_permutation,
    check_round_trip,
    check_seed,
    check_shapes,
    check_tokens,
)
from encoders.testing.windows import N_ASSETS, make_window, trained, with_assets
from encoders.windows import InputShape, Window


class Conformance:
    """What every encoder must satisfy, whether or not its assets are a set.

    A subclass sets `config`; `shape` and `overfit_steps` may be set to others.
    """

    config: EncoderConfig
    shape = InputShape(lookback=8, n_features=5, n_calendar=3, n_prices=4, n_assets=N_ASSETS)
    overfit_steps = 80

    @pytest.fixture
    def window(self) -> Window:
        return make_window(self.config, self.shape)

    @pytest.fixture
    def encoder(self) -> Encoder:
        return trained(self.config, self.shape)

    def build(self) -> Encoder:
        return self.config.build(self.shape)

    def test_shapes(self, encoder: Encoder, window: Window) -> None:
        check_shapes(encoder, window)

    def test_untrained_shapes(self, window: Window) -> None:
        check_shapes(self.build(), window)

    def test_tokens_only_where_asked(self, encoder: Encoder, window: Window) -> None:
        check_tokens(encoder, window)

    def test_loss_is_the_sum_of_its_terms(self, encoder: Encoder, window: Window) -> None:
        check_loss(encoder, window)

    def test_every_parameter_gets_a_gradient(self, encoder: Encoder, window: Window) -> None:
        check_gradients(encoder, window)

    def test_overfits_one_batch(self, window: Window) -> None:
        torch.manual_seed(0)
        check_overfits(self.build(), window, self.overfit_steps)

    def test_seed_decides_everything(self, window: Window) -> None:
        check_seed(self.build, window)

    def test_masked_values_are_invisible(self, encoder: Encoder, window: Window) -> None:
        check_masked_values_invisible(encoder, window)

    def test_masked_values_are_invisible_to_training(self, window: Window) -> None:
        check_masked_invisible_to_training(self.build, window)

    def test_other_days_are_invisible(self, encoder: Encoder, window: Window) -> None:
        check_other_days_invisible(encoder, window)

    def test_labels_are_invisible(self, encoder: Encoder, window: Window) -> None:
        check_labels_invisible(encoder, window)

    def test_infer_is_pure(self, encoder: Encoder, window: Window) -> None:
        check_infer_pure(encoder, window)

    def test_evaluation_is_pure(self, encoder: Encoder, window: Window) -> None:
        check_evaluation_pure(encoder, window)

    def test_save_and_load(self, encoder: Encoder, window: Window) -> None:
        check_round_trip(encoder, self.build, window)

    def test_bf16_is_finite(self, encoder: Encoder, window: Window) -> None:
        check_bf16(encoder, window)

    def test_a_day_without_assets(self, encoder: Encoder, window: Window) -> None:
        check_empty_day(encoder, window)


class SetConformance(Conformance):
    """What an encoder must satisfy besides where its assets are a set of any size and order."""

    def test_masked_equals_removed(self, encoder: Encoder, window: Window) -> None:
        check_masked_equals_removed(encoder, window)

    def test_permuting_assets_permutes_states(self, encoder: Encoder, window: Window) -> None:
        check_permutation(encoder, window)

    @pytest.mark.parametrize("n_assets", [1, 12])
    def test_another_number_of_assets(self, encoder: Encoder, n_assets: int) -> None:
        other = make_window(self.config, self.shape)
        other = with_assets(other, torch.arange(n_assets) % N_ASSETS)
        check_shapes(encoder, other)
        assert encoder(other).loss.isfinite()
