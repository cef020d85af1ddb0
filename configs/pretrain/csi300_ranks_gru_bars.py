"""A GRU on China's CSI 300 that also reads Alpha360 as a sequence of 60 days; all else as `csi300_ranks_gru`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_gru import experiment as gru
from encoders.bars import BarHistory
from encoders.recurrent import GRU
from market.features.joined import Joined

experiment = replace(
    gru, name="csi300_ranks_gru_bars", encoder=GRU(lookback=8, layers=1, bars=BarHistory()), features=Joined()
)
