"""STORM with its time-series branch alone on the S&P 500."""

from dataclasses import replace

from configs.pretrain.sp500_storm_dual import experiment as dual

experiment = replace(dual, name="sp500_storm_single_ts", encoder=replace(dual.encoder, branches=("time_series",)))
