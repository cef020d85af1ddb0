"""Conformance checks for encoders, those of other packages included.

`check_encoder` runs all of them on a configuration, as Gymnasium's ``check_env`` does on an environment:

    check_encoder(MyEncoder(width=16))

Each check of `encoders.testing.checks` can also be called by itself.
"""

from collections.abc import Callable

import torch

from encoders.base import Encoder, EncoderConfig
from encoders.testing import checks
from encoders.testing.first_pass import run_once
from encoders.testing.windows import N_ASSETS, make_window, trained, with_assets
from encoders.windows import InputShape

__all__ = ["SHAPE", "check_encoder", "checks", "make_window", "trained"]

SHAPE = InputShape(lookback=8, n_features=5, n_calendar=3, n_prices=4, n_assets=N_ASSETS)
"""The small input on which encoders are checked unless another one is given."""


def check_encoder(
    config: EncoderConfig, shape: InputShape = SHAPE, assets_are_a_set: bool = True, overfit_steps: int = 80
) -> None:
    """Fails unless the encoder that `config` builds keeps the contract of `encoders.base`.

    Args:
        config: Configuration of the encoder.
        shape: Sizes of its inputs.
        assets_are_a_set: Whether the order and number of assets may change; False for encoders of a fixed list.
        overfit_steps: Steps in which one batch must be learnt by heart.

    Raises:
        ValueError: Its code fails on a window; one line.
        AssertionError: A property does not hold; the message names it.
    """
    window = make_window(config, shape)
    run_once(config.build(shape), window)

    def build() -> Encoder:
        return config.build(shape)

    for check in (*_OF_A_TRAINED_ENCODER, *(_OF_A_SET if assets_are_a_set else ())):
        check(trained(config, shape), window)
    checks.check_shapes(build(), window)
    checks.check_seed(build, window)
    checks.check_masked_invisible_to_training(build, window)
    checks.check_round_trip(trained(config, shape), build, window)
    torch.manual_seed(0)
    checks.check_overfits(build(), window, overfit_steps)
    for n_assets in (1, 12) if assets_are_a_set else ():
        other = with_assets(window, torch.arange(n_assets) % window.mask.shape[1])
        checks.check_shapes(trained(config, shape), other)


_OF_A_TRAINED_ENCODER: tuple[Callable[..., None], ...] = (
    checks.check_shapes,
    checks.check_tokens,
    checks.check_loss,
    checks.check_gradients,
    checks.check_masked_values_invisible,
    checks.check_other_days_invisible,
    checks.check_labels_invisible,
    checks.check_infer_pure,
    checks.check_evaluation_pure,
    checks.check_bf16,
    checks.check_empty_day,
)
_OF_A_SET: tuple[Callable[..., None], ...] = (checks.check_masked_equals_removed, checks.check_permutation)
