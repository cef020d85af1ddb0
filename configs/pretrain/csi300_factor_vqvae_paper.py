"""FactorVQVAE on China's CSI 300 at the paper's sizes, second stage; the first is csi300_factor_vqvae_tokens_paper."""

from dataclasses import replace

from configs.pretrain.csi300_factor_vqvae_tokens import experiment as small
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor
from encoders.factor_vqvae.tokenizer import FactorVQVAE

experiment = replace(
    small,
    name="csi300_factor_vqvae_paper",
    encoder=FactorVQVAEPredictor(run="pretrain/csi300_factor_vqvae_tokens_paper", tokens=FactorVQVAE()),
)
