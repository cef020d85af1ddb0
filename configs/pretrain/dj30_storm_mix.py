"""STORM with one branch over both kinds of token on 29 Dow Jones stocks."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual import experiment as dual

experiment = replace(dual, name="dj30_storm_mix", encoder=replace(dual.encoder, branches=("mix",)))
