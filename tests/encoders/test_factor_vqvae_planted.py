"""Both stages of FactorVQVAE find a planted signal, and nothing where returns are shuffled in time."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from encoders.base import Encoder, EncoderConfig
from encoders.factor_vqvae import FactorVQVAE
from encoders.factor_vqvae_predictor import FactorVQVAEPredictor
from encoders.quantizers import Affine
from encoders.windows import InputShape
from tests.encoders.test_storm import Planted, learn

TOKENS = FactorVQVAE(
    lookback=8, span=1, market_features=1, hidden=32, dim=16, factors=8, heads=2, quantizer=Affine(codebook_size=32)
)
PREDICTOR = FactorVQVAEPredictor(run="", tokens=TOKENS, width=16, depth=1, heads=2)


class PlantedReturns(Planted):
    """The same market with the columns that FactorVQVAE reads: signals in noise, the realised label, the market."""

    def __init__(self, shuffled: bool = False) -> None:
        super().__init__(shuffled)
        realised = self.label.roll(1, 0)
        realised[0] = 0.0
        market = 50 * realised.mean(1, keepdim=True).expand_as(realised)
        noise = torch.randn(*realised.shape, 6, generator=torch.Generator().manual_seed(2))
        last = torch.stack([realised, market], -1)
        self.features = torch.cat([self.features, noise, last], -1)


class Built:
    """A configuration that keeps what it builds, perhaps on top of a first stage."""

    def __init__(self, config: EncoderConfig, first: "Built | None" = None) -> None:
        self.config, self.first, self.lookback = config, first, config.lookback
        self.encoder: Encoder

    def build(self, shape: InputShape) -> Encoder:
        built: Any = self.config.build(replace(shape, n_features=12))
        if self.first is not None:
            built.stage.load_state_dict(self.first.encoder.state_dict())
        self.encoder = built
        return self.encoder


@pytest.mark.parametrize("shuffled", [False, True])
def test_both_stages(shuffled: bool) -> None:
    market, tokens = PlantedReturns(shuffled), Built(TOKENS)
    for stage in (tokens, Built(PREDICTOR, tokens)):
        found, oracle, used = learn(stage, market)
        assert used >= 0.5, "codes are not in use"
        if shuffled:
            assert abs(found) < 3 / (Planted.n_test * (Planted.n_assets - 1)) ** 0.5
        else:
            assert oracle > 0.2
            assert found > 0.8 * oracle
