"""STORM with both branches on 29 Dow Jones stocks, with codebooks of 1024 codes."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual import experiment as dual

experiment = replace(dual, name="dj30_storm_dual_1024", encoder=replace(dual.encoder, codebook_size=1024))
