"""STORM with both branches on China's CSI 300, small enough for a CPU: an epoch takes one core two minutes."""

from dataclasses import replace

from configs.pretrain.csi300_lightgbm import experiment as lightgbm
from configs.pretrain.dj30_storm_dual_small import experiment as dj30

experiment = replace(
    lightgbm,
    name="csi300_storm_dual_small",
    encoder=dj30.encoder,
    optim=replace(dj30.optim, epochs=8, batch_size=16, patience=4),
)
