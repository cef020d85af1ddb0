"""Ridge regression on China's CSI 300."""

from configs.datasets import CSI300
from configs.recipes import SMALL_OPTIM
from encoders.linear import Ridge

experiment = CSI300.pretrain("csi300_ridge", Ridge(), SMALL_OPTIM)
