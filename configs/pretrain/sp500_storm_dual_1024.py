"""STORM with both branches on the S&P 500, with codebooks of 1024 codes."""

from dataclasses import replace

from configs.pretrain.sp500_storm_dual import experiment as dual

experiment = replace(dual, name="sp500_storm_dual_1024", encoder=replace(dual.encoder, codebook_size=1024))
