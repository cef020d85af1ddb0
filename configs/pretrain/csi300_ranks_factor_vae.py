"""FactorVAE on China's CSI 300; all else as `csi300_ranks_gru`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_gru import experiment as gru
from encoders.factor_vae import FactorVAE

experiment = replace(
    gru, name="csi300_ranks_factor_vae", encoder=FactorVAE(lookback=8, likelihood=0.2, kl=0.1, rank=1.0)
)
