"""STORM with both branches on 29 Dow Jones stocks, with codebooks of 256 codes."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual import experiment as dual

experiment = replace(dual, name="dj30_storm_dual_256", encoder=replace(dual.encoder, codebook_size=256))
