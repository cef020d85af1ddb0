"""LightGBM on 505 stocks of the S&P 500, taught the mean rank of the returns of one to five days."""

from configs.datasets import SP500_RANKS
from configs.recipes import RANKS_OPTIM, SMALL_TREES

experiment = SP500_RANKS.pretrain("sp500_ranks_lightgbm", SMALL_TREES, RANKS_OPTIM)
