"""LightGBM on a synthetic market whose best RankIC is known."""

from configs.datasets import SYNTHETIC
from configs.recipes import SMALL_OPTIM, SMALL_TREES

experiment = SYNTHETIC.pretrain("synthetic_lightgbm", SMALL_TREES, SMALL_OPTIM)
