"""STORM on 29 Dow Jones stocks with its own 149 features, at the sizes of the reference."""

from configs.datasets import DJ30
from configs.recipes import STORM, STORM_OPTIM
from market.features.storm import StormFeatures

experiment = DJ30.pretrain("dj30_storm_features", STORM, STORM_OPTIM, features=StormFeatures())
