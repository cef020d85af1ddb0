"""STORM without a quantiser on 29 Dow Jones stocks: what `dj30_storm_dual_small` would be without its codes."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as dual
from encoders.quantizers import Continuous

experiment = replace(
    dual,
    name="dj30_storm_continuous_small",
    encoder=replace(dual.encoder, quantizer=Continuous(), codebook_size=0),
)
