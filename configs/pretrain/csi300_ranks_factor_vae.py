"""FactorVAE on China's CSI 300, taught ranks over several days."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_FACTOR_VAE, RANKS_OPTIM

experiment = CSI300_RANKS.pretrain("csi300_ranks_factor_vae", RANKS_FACTOR_VAE, RANKS_OPTIM)
