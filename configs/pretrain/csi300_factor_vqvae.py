"""FactorVQVAE on China's CSI 300, second stage; the first one is csi300_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.csi300_factor_vqvae_tokens import experiment as tokens
from configs.recipes import TOKENS
from encoders.factor_vqvae_predictor import FactorVQVAEPredictor

experiment = replace(
    tokens,
    name="csi300_factor_vqvae",
    encoder=FactorVQVAEPredictor(run="pretrain/csi300_factor_vqvae_tokens", tokens=TOKENS, width=32),
)
