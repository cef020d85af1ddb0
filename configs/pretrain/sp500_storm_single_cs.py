"""STORM with its cross-section branch alone on the S&P 500."""

from dataclasses import replace

from configs.pretrain.sp500_storm_dual import experiment as dual

experiment = replace(dual, name="sp500_storm_single_cs", encoder=replace(dual.encoder, branches=("cross_section",)))
