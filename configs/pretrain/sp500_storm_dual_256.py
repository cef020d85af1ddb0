"""STORM with both branches on the S&P 500, with codebooks of 256 codes."""

from dataclasses import replace

from configs.pretrain.sp500_storm_dual import experiment as dual

experiment = replace(dual, name="sp500_storm_dual_256", encoder=replace(dual.encoder, codebook_size=256))
