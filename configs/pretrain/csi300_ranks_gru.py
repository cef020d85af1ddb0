"""A two-layer GRU on China's CSI 300, taught ranks over several days."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_OPTIM
from encoders.baselines.gru import GRU

experiment = CSI300_RANKS.pretrain("csi300_ranks_gru", GRU(lookback=8), RANKS_OPTIM)
