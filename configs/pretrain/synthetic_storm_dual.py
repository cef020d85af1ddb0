"""STORM with both branches on a synthetic market whose predictable part, and so the best RankIC, is known."""

from dataclasses import replace

from agents.baselines.simple import TopKDropN
from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.quantizers import Learnable
from market.splits import Split

experiment = replace(
    small,
    name="synthetic_storm_dual",
    panel="workdir/data/synthetic/panel.safetensors",
    # The signal is learnt within an epoch of 39 steps: dead codes must be revived as fast.
    encoder=replace(small.encoder, quantizer=Learnable(decay=0.9, dead_share=0.3)),
    portfolio=TopKDropN(k=20, n_drop=4),
    split=Split(
        train=("2010-01-04", "2014-12-31"),
        valid=("2015-01-09", "2015-12-31"),
        test=("2016-01-08", "2017-08-31"),
    ),
)
