"""STORM with both branches on 29 Dow Jones stocks, at the reference's sizes and period.

Other variants are overrides: --encoder.branches time_series, --encoder.quantizer.codebook-size 1024,
--encoder.quantizer:continuous, each with a --name of its own.
"""

from configs.datasets import DJ30
from configs.recipes import STORM, STORM_OPTIM

experiment = DJ30.pretrain("dj30_storm_dual", STORM, STORM_OPTIM)
