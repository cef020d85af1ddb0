"""STORM on 505 stocks of the S&P 500, taught ranks over several days, with two levels of codes and a gated head."""

from configs.datasets import SP500_RANKS
from configs.recipes import RANKS_STORM, STORM_RANKS_OPTIM

experiment = SP500_RANKS.pretrain("sp500_ranks_storm", RANKS_STORM, STORM_RANKS_OPTIM)
