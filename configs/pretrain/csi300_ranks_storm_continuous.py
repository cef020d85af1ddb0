"""STORM without a quantiser on China's CSI 300: the twin of `csi300_ranks_storm`, which tells what codes cost."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_storm import experiment as storm
from encoders.quantizers import Continuous

experiment = replace(
    storm,
    name="csi300_ranks_storm_continuous",
    encoder=replace(storm.encoder, quantizer=Continuous(), codebook_size=0),
)
