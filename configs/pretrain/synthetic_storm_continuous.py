"""STORM without a quantiser on a synthetic market: the twin of `synthetic_storm_dual`, which tells what codes cost."""

from dataclasses import replace

from configs.pretrain.synthetic_storm_dual import experiment as dual
from encoders.quantizers import Continuous

experiment = replace(
    dual,
    name="synthetic_storm_continuous",
    encoder=replace(dual.encoder, quantizer=Continuous(), codebook_size=0),
)
