"""FactorVAE on 505 stocks of the S&P 500, taught ranks over several days."""

from configs.datasets import SP500_RANKS
from configs.recipes import RANKS_FACTOR_VAE, RANKS_OPTIM

experiment = SP500_RANKS.pretrain("sp500_ranks_factor_vae", RANKS_FACTOR_VAE, RANKS_OPTIM)
