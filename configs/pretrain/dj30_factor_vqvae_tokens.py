"""FactorVQVAE on 29 Dow Jones stocks, first stage."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from configs.pretrain.synthetic_factor_vqvae_tokens import experiment as synthetic

experiment = replace(
    synthetic,
    name="dj30_factor_vqvae_tokens",
    panel=small.panel,
    portfolio=small.portfolio,
    split=small.split,
    optim=replace(synthetic.optim, batch_size=32),
)
