"""A quantiser of somebody else's module in our encoders: built, trained a step, written to a config and read back."""

from dataclasses import dataclass, replace

import torch

from configs.classes import trusting
from configs.values import from_data, to_data
from encoders.quantizers import QuantizedTokens, Quantizer
from encoders.storm.model import Storm
from encoders.testing.windows import inputs, make_window, trained
from tests.encoders.test_storm import SHAPE, TINY


@dataclass(frozen=True)
class Rounded:
    """Two codes: the sign of the first number of a token."""

    codebook_size: int = 2

    def build(self, dim: int) -> "RoundedQuantizer":
        return RoundedQuantizer(self.codebook_size, dim)


class RoundedQuantizer(Quantizer):
    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__(codebook_size)
        self.dim = dim

    def quantize(self, tokens):
        codes = (tokens[:, 0] > 0).long()
        passed = tokens + (self.lookup(codes) - tokens).detach()
        return QuantizedTokens(passed, codes, {}, torch.bincount(codes, minlength=self.codebook_size))

    def lookup(self, codes):
        return (2.0 * codes - 1.0)[..., None].float().expand(*codes.shape, self.dim)


def test_it_stands_in_a_config_by_its_import_path() -> None:
    encoder = Storm(quantizer=Rounded())
    data = to_data(encoder)
    assert data["quantizer"]["class"].endswith("Rounded")
    with trusting("tests"):
        assert from_data(data, Storm) == encoder
    assert replace(encoder, lookback=16).quantizer == Rounded()


def test_an_encoder_learns_with_it_and_shows_its_codes() -> None:
    encoder = trained(replace(TINY, quantizer=Rounded()), SHAPE)
    window = make_window(TINY, SHAPE)
    state = encoder.infer(*inputs(window)).state
    assert state.codes is not None
    assert set(state.codes[window.mask].unique().tolist()) <= {0, 1}
    assert set(encoder.codebook_sizes.values()) == {2}
