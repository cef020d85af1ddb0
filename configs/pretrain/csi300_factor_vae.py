"""FactorVAE on China's CSI 300; it learns as the GRU there."""

from configs.datasets import CSI300
from configs.recipes import CSI300_OPTIM
from encoders.factor_vae import FactorVAE

experiment = CSI300.pretrain("csi300_factor_vae", FactorVAE(likelihood=0.2, kl=0.1, rank=1.0), CSI300_OPTIM)
