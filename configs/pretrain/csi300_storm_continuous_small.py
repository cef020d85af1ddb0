"""STORM without a quantiser on China's CSI 300: the twin of `csi300_storm_dual_small`, which tells what codes cost."""

from dataclasses import replace

from configs.pretrain.csi300_storm_dual_small import experiment as dual
from encoders.quantizers import Continuous

experiment = replace(
    dual,
    name="csi300_storm_continuous_small",
    encoder=replace(dual.encoder, quantizer=Continuous(), codebook_size=0),
)
