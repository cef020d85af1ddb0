"""Ridge regression on 29 Dow Jones stocks, on the features, split and label of the STORM experiments."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.baselines.ridge import Ridge

experiment = replace(small, name="dj30_ridge", encoder=Ridge())
