"""Ridge regression on China's CSI 300; all else as `csi300_ranks_lightgbm`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_lightgbm import experiment as lightgbm
from encoders.linear import Ridge

experiment = replace(lightgbm, name="csi300_ranks_ridge", encoder=Ridge())
