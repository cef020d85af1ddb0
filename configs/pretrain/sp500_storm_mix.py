"""STORM with one branch over both kinds of token on the S&P 500."""

from dataclasses import replace

from configs.pretrain.sp500_storm_dual import experiment as dual

experiment = replace(dual, name="sp500_storm_mix", encoder=replace(dual.encoder, branches=("mix",)))
