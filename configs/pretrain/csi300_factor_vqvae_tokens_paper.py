"""FactorVQVAE on China's CSI 300 at the paper's sizes, first stage: tokens of width 128, 512 codes.

Kim et al. (KBS 2025). The second stage is csi300_factor_vqvae_paper.
"""

from dataclasses import replace

from configs.pretrain.csi300_factor_vqvae_tokens import experiment as small
from encoders.factor_vqvae.tokenizer import FactorVQVAE

experiment = replace(small, name="csi300_factor_vqvae_tokens_paper", encoder=FactorVQVAE())
