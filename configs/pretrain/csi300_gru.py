"""A two-layer GRU on China's CSI 300; networks learn for six epochs on this panel."""

from dataclasses import replace

from configs.datasets import CSI300
from configs.recipes import SMALL_OPTIM
from encoders.recurrent import GRU

experiment = CSI300.pretrain("csi300_gru", GRU(), replace(SMALL_OPTIM, epochs=6, batch_size=8, learning_rate=5e-4))
