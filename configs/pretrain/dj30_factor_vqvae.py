"""FactorVQVAE on 29 Dow Jones stocks, second stage; the first one is dj30_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.dj30_factor_vqvae_tokens import experiment as tokens
from configs.pretrain.synthetic_factor_vqvae import experiment as synthetic

experiment = replace(
    tokens,
    name="dj30_factor_vqvae",
    encoder=replace(synthetic.encoder, run="workdir/pretrain/dj30_factor_vqvae_tokens"),
)
