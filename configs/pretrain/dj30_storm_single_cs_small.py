"""STORM with its cross-section branch alone on 29 Dow Jones stocks, small enough for two CPU cores."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as dual

experiment = replace(
    dual, name="dj30_storm_single_cs_small", encoder=replace(dual.encoder, branches=("cross_section",))
)
