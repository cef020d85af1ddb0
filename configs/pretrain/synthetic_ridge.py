"""Ridge regression on a synthetic market whose best RankIC is known."""

from configs.datasets import SYNTHETIC
from configs.recipes import SMALL_OPTIM
from encoders.linear import Ridge

experiment = SYNTHETIC.pretrain("synthetic_ridge", Ridge(), SMALL_OPTIM)
