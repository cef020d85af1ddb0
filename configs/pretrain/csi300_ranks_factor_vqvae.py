"""FactorVQVAE on China's CSI 300, second stage; the first one is csi300_ranks_factor_vqvae_tokens."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_factor_vqvae_tokens import RANKS_TOKENS
from configs.pretrain.csi300_ranks_factor_vqvae_tokens import experiment as tokens
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor

encoder = FactorVQVAEPredictor(run="pretrain/csi300_ranks_factor_vqvae_tokens", tokens=RANKS_TOKENS, width=32)
experiment = replace(tokens, name="csi300_ranks_factor_vqvae", encoder=encoder)
