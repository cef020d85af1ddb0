"""Ridge regression on 29 Dow Jones stocks."""

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM
from encoders.linear import Ridge

experiment = DJ30.pretrain("dj30_ridge", Ridge(), SMALL_OPTIM)
