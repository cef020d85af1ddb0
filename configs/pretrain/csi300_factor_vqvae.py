"""FactorVQVAE on China's CSI 300, second stage; the first one is csi300_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.csi300_factor_vqvae_tokens import experiment as tokens
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor
from encoders.factor_vqvae.tokenizer import FactorVQVAE

experiment = replace(
    tokens,
    name="csi300_factor_vqvae",
    encoder=FactorVQVAEPredictor(
        run="workdir/pretrain/csi300_factor_vqvae_tokens",
        tokens=FactorVQVAE(hidden=64, dim=64, codebook_size=128),
        width=32,
    ),
)
