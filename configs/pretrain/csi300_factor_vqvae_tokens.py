"""FactorVQVAE on China's CSI 300, first stage: a vocabulary of standardised returns; sizes that a CPU can train."""

from dataclasses import replace

from configs.pretrain.csi300_gru import experiment as gru
from encoders.factor_vqvae.tokenizer import FactorVQVAE
from market.features.realised import MARKET, REALISED, WithRealisedReturns
from market.labels import Label
from market.scaling.by_column import NoScaling, PrefixScaling, ScalingByName
from market.scaling.scalers import CrossSectionalZScore, RobustZScore

LABEL = Label(fill="next_close", horizon=1, transform="zscore")

experiment = replace(
    gru,
    name="csi300_factor_vqvae_tokens",
    encoder=FactorVQVAE(hidden=64, dim=64, codebook_size=128),
    label=LABEL,
    features=WithRealisedReturns(label=LABEL),
    scaling=ScalingByName(
        rest=CrossSectionalZScore(),
        named=(PrefixScaling(REALISED, NoScaling()), PrefixScaling(MARKET, RobustZScore())),
    ),
    optim=replace(gru.optim, epochs=6, patience=3),
)
