"""LightGBM on China's CSI 300 with the parameters of qlib's benchmark: train to 2017, valid 2018, test from 2019."""

from configs.datasets import CSI300
from configs.recipes import SMALL_OPTIM
from encoders.trees import LightGBM

experiment = CSI300.pretrain("csi300_lightgbm", LightGBM(), SMALL_OPTIM)
