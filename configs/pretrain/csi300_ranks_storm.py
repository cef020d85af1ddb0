"""STORM on China's CSI 300 with two levels of codes and a gated head; all else as `csi300_ranks_gru`."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_gru import experiment as gru
from encoders.quantizers import Residual
from encoders.storm import Storm
from encoders.storm_branches import Sizes
from encoders.storm_head import GatedHead

experiment = replace(
    gru,
    name="csi300_ranks_storm",
    encoder=Storm(
        lookback=8,
        codebook_size=4096,
        quantizer=Residual(levels=2, size=64),
        sizes=Sizes(dim=64, depth=1, decoder_depth=1, heads=4, patch=2, asset_state=64, market_state=32),
        head=GatedHead(),
    ),
)
