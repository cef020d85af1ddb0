"""FactorVAE on 29 Dow Jones stocks, with few factors for few assets and the term for ranks, which valid prefers."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.factor_vae import FactorVAE

experiment = replace(
    small,
    name="dj30_factor_vae",
    encoder=FactorVAE(portfolios=24, factors=16, likelihood=0.2, kl=0.1, rank=1.0),
)
