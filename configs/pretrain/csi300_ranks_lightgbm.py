"""LightGBM on China's CSI 300, taught the mean rank of the returns of one to five days."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_OPTIM
from encoders.baselines.lightgbm import LightGBM

experiment = CSI300_RANKS.pretrain("csi300_ranks_lightgbm", LightGBM(), RANKS_OPTIM)
