"""Ridge regression on China's CSI 300, taught ranks over several days."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_OPTIM
from encoders.baselines.ridge import Ridge

experiment = CSI300_RANKS.pretrain("csi300_ranks_ridge", Ridge(), RANKS_OPTIM)
