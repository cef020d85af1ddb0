"""A two-layer GRU on 29 Dow Jones stocks."""

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM
from encoders.recurrent import GRU

experiment = DJ30.pretrain("dj30_gru", GRU(), SMALL_OPTIM)
