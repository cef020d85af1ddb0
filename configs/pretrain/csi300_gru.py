"""A two-layer GRU on China's CSI 300; all else as LightGBM there. Networks learn for six epochs on this panel."""

from dataclasses import replace

from configs.pretrain.csi300_lightgbm import experiment as lightgbm
from encoders.baselines.gru import GRU

experiment = replace(
    lightgbm,
    name="csi300_gru",
    encoder=GRU(),
    optim=replace(lightgbm.optim, epochs=6, batch_size=8, learning_rate=5e-4),
)
