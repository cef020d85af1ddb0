"""A GRU on China's CSI 300 that also reads Alpha360 as a sequence of 60 days; else as `csi300_ranks_gru`."""

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_OPTIM
from encoders.bars import BarHistory
from encoders.baselines.gru import GRU
from market.features.union import FeatureUnion

encoder = GRU(lookback=8, layers=1, bars=BarHistory())
experiment = CSI300_RANKS.pretrain("csi300_ranks_gru_bars", encoder, RANKS_OPTIM, features=FeatureUnion())
