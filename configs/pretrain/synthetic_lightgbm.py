"""LightGBM on a synthetic market whose best RankIC is known."""

from dataclasses import replace

from configs.pretrain.dj30_lightgbm import experiment as dj30
from configs.pretrain.synthetic_storm_dual import experiment as storm

experiment = replace(storm, name="synthetic_lightgbm", encoder=dj30.encoder)
