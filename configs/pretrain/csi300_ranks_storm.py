"""STORM on China's CSI 300, taught ranks over several days, with two levels of codes and a gated head."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_STORM, STORM_RANKS_OPTIM

experiment = CSI300_RANKS.pretrain("csi300_ranks_storm", RANKS_STORM, STORM_RANKS_OPTIM)
