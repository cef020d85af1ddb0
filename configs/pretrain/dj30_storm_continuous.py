"""STORM without a quantiser on 29 Dow Jones stocks, at the reference's sizes: the twin of `dj30_storm_dual`."""

from dataclasses import replace

from configs.pretrain.dj30_storm_continuous_small import experiment as small
from configs.pretrain.dj30_storm_dual import experiment as dual

experiment = replace(
    dual,
    name="dj30_storm_continuous",
    encoder=replace(dual.encoder, quantizer=small.encoder.quantizer, codebook_size=0),
)
