"""STORM with both branches on a synthetic market whose predictable part, and so the best RankIC, is known."""

from dataclasses import replace

from configs.datasets import SYNTHETIC
from configs.recipes import SMALL_OPTIM, STORM_SMALL
from encoders.quantizers import Learnable

# The signal is learnt within an epoch of 39 steps: dead codes must be revived as fast.
encoder = replace(STORM_SMALL, quantizer=Learnable(codebook_size=64, decay=0.9, dead_share=0.3))
experiment = SYNTHETIC.pretrain("synthetic_storm_dual", encoder, SMALL_OPTIM)
