"""FactorVAE on 29 Dow Jones stocks, taught ranks over several days."""

from configs.datasets import DJ30_RANKS
from configs.recipes import RANKS_FACTOR_VAE, RANKS_OPTIM

experiment = DJ30_RANKS.pretrain("dj30_ranks_factor_vae", RANKS_FACTOR_VAE, RANKS_OPTIM)
