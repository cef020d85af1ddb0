"""FactorVQVAE on a synthetic market, second stage; the first one is synthetic_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.synthetic_factor_vqvae_tokens import experiment as tokens
from configs.recipes import TOKENS
from encoders.factor_vqvae_predictor import FactorVQVAEPredictor

experiment = replace(
    tokens,
    name="synthetic_factor_vqvae",
    encoder=FactorVQVAEPredictor(run="pretrain/synthetic_factor_vqvae_tokens", tokens=TOKENS, width=32),
)
