"""LightGBM on 29 Dow Jones stocks."""

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM, SMALL_TREES

experiment = DJ30.pretrain("dj30_lightgbm", SMALL_TREES, SMALL_OPTIM)
