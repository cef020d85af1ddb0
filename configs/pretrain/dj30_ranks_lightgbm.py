"""LightGBM on 29 Dow Jones stocks, taught the mean rank of the returns of one to five days."""

from configs.datasets import DJ30_RANKS
from configs.recipes import RANKS_OPTIM, SMALL_TREES

experiment = DJ30_RANKS.pretrain("dj30_ranks_lightgbm", SMALL_TREES, RANKS_OPTIM)
