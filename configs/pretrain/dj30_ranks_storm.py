"""STORM on 29 Dow Jones stocks, taught ranks over several days, with two levels of codes and a gated head."""

from configs.datasets import DJ30_RANKS
from configs.recipes import RANKS_STORM, STORM_RANKS_OPTIM

experiment = DJ30_RANKS.pretrain("dj30_ranks_storm", RANKS_STORM, STORM_RANKS_OPTIM)
