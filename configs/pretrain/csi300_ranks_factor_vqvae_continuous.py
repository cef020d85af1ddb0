"""FactorVQVAE's first stage without a quantiser on China's CSI 300: the twin of `csi300_ranks_factor_vqvae_tokens`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_factor_vqvae_tokens import experiment as tokens
from encoders.quantizers import Continuous

experiment = replace(
    tokens,
    name="csi300_ranks_factor_vqvae_continuous",
    encoder=replace(tokens.encoder, quantizer=Continuous(), codebook_size=0),
)
