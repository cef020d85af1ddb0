"""STORM with both branches on China's CSI 300, small enough for a CPU: an epoch takes one core two minutes."""

from dataclasses import replace

from configs.datasets import CSI300
from configs.recipes import SMALL_OPTIM, STORM_SMALL

experiment = CSI300.pretrain(
    "csi300_storm_dual_small", STORM_SMALL, replace(SMALL_OPTIM, epochs=8, batch_size=16, patience=4)
)
