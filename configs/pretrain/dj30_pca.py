"""Principal components of the returns of 29 Dow Jones stocks."""

from configs.datasets import DJ30, RETURNS, UNCLIPPED
from configs.recipes import SMALL_OPTIM
from encoders.pca import PCA

experiment = DJ30.pretrain("dj30_pca", PCA(), SMALL_OPTIM, features=RETURNS, scaling=UNCLIPPED)
