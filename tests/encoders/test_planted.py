"""Encoders without codebooks find a planted signal, and nothing where returns are shuffled in time."""

from dataclasses import replace

import pytest

from encoders.base import EncoderConfig
from encoders.factor_vae import FactorVAE
from encoders.quantizers import Continuous
from encoders.recurrent import GRU
from tests.encoders.test_storm import TINY, Planted, learn

CONFIGS = {
    "gru": GRU(lookback=8, hidden=32),
    "factor_vae": FactorVAE(lookback=8, hidden=32, portfolios=12, factors=8, rank=1.0),
    "continuous storm": replace(TINY, quantizer=Continuous()),
    "factor_vae of the paper": FactorVAE(lookback=8, hidden=32, portfolios=12, factors=8),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_finds_a_planted_signal(config: EncoderConfig) -> None:
    found, oracle, _ = learn(config, Planted())
    assert oracle > 0.2
    assert found > 0.8 * oracle


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_finds_nothing_where_returns_are_shuffled_in_time(config: EncoderConfig) -> None:
    found, _, _ = learn(config, Planted(shuffled=True))
    assert abs(found) < 3 / (Planted.n_test * (Planted.n_assets - 1)) ** 0.5
