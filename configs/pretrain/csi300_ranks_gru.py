"""A two-layer GRU on China's CSI 300; all else as `csi300_ranks_lightgbm`.

Networks learn for six epochs on this panel, and the three best of them are averaged. Eight days of history are enough.
"""

from dataclasses import replace

from configs.pretrain.csi300_ranks_lightgbm import experiment as lightgbm
from encoders.recurrent import GRU

experiment = replace(
    lightgbm,
    name="csi300_ranks_gru",
    encoder=GRU(lookback=8),
    optim=replace(lightgbm.optim, epochs=6, batch_size=8, learning_rate=5e-4, patience=None, average_best=3),
)
