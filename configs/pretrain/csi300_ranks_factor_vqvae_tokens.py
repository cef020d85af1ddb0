"""FactorVQVAE on China's CSI 300, first stage, features as they are; label and days as `csi300_ranks_gru`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_gru import experiment as gru
from encoders.factor_vqvae import FactorVQVAE
from market.column_scaling import ByName, Named, Unscaled
from market.features.realised import MARKET, REALISED, WithRealisedReturns
from market.scaling import CrossSectionalZScore, RobustZScore

experiment = replace(
    gru,
    name="csi300_ranks_factor_vqvae_tokens",
    encoder=FactorVQVAE(lookback=10, span=gru.label.span, hidden=64, dim=32, codebook_size=128, norm=False),
    features=WithRealisedReturns(label=gru.label),
    scaling=ByName(
        rest=CrossSectionalZScore(),
        named=(Named(REALISED, Unscaled()), Named(MARKET, RobustZScore())),
    ),
)
