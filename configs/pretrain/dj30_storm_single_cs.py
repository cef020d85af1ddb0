"""STORM with its cross-section branch alone on 29 Dow Jones stocks."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual import experiment as dual

experiment = replace(dual, name="dj30_storm_single_cs", encoder=replace(dual.encoder, branches=("cross_section",)))
