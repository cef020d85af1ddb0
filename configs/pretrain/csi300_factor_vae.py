"""FactorVAE on China's CSI 300; it learns as the GRU there."""

from dataclasses import replace

from configs.pretrain.csi300_gru import experiment as gru
from encoders.factor_vae import FactorVAE

experiment = replace(gru, name="csi300_factor_vae", encoder=FactorVAE(likelihood=0.2, kl=0.1, rank=1.0))
