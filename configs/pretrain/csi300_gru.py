"""A two-layer GRU on China's CSI 300; networks learn for six epochs on this panel."""

from configs.datasets import CSI300
from configs.recipes import CSI300_OPTIM
from encoders.baselines.gru import GRU

experiment = CSI300.pretrain("csi300_gru", GRU(), CSI300_OPTIM)
