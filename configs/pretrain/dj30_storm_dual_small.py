"""STORM with both branches on 29 Dow Jones stocks, small enough for two CPU cores."""

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM, STORM_SMALL

experiment = DJ30.pretrain("dj30_storm_dual_small", STORM_SMALL, SMALL_OPTIM)
