"""STORM on China's CSI 300 with its own 149 features instead of Alpha158; else as `csi300_ranks_storm`."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_STORM, STORM_RANKS_OPTIM
from market.features.storm import StormFeatures

experiment = CSI300_RANKS.pretrain("csi300_storm_features", RANKS_STORM, STORM_RANKS_OPTIM, features=StormFeatures())
