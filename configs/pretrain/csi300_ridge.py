"""Ridge regression on China's CSI 300; all else as LightGBM there."""

from dataclasses import replace

from configs.pretrain.csi300_lightgbm import experiment as lightgbm
from encoders.baselines.ridge import Ridge

experiment = replace(lightgbm, name="csi300_ridge", encoder=Ridge())
