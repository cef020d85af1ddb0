"""LightGBM on 29 Dow Jones stocks, with smaller trees than on China's 300; all else as the STORM experiments."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.baselines.lightgbm import Boosting, LightGBM

boosting = Boosting(
    learning_rate=0.05, num_leaves=31, max_depth=5, min_data_in_leaf=200, lambda_l1=20.0, lambda_l2=60.0
)
experiment = replace(small, name="dj30_lightgbm", encoder=LightGBM(boosting=boosting))
