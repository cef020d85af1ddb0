"""A two-layer GRU on 29 Dow Jones stocks; all else as the STORM experiments."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.baselines.gru import GRU

experiment = replace(small, name="dj30_gru", encoder=GRU())
