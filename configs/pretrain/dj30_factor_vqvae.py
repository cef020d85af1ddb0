"""FactorVQVAE on 29 Dow Jones stocks, second stage; the first one is dj30_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.dj30_factor_vqvae_tokens import experiment as tokens
from configs.recipes import TOKENS
from encoders.factor_vqvae_predictor import FactorVQVAEPredictor

experiment = replace(
    tokens,
    name="dj30_factor_vqvae",
    encoder=FactorVQVAEPredictor(run="pretrain/dj30_factor_vqvae_tokens", tokens=TOKENS, width=32),
)
