"""Ridge taught ranks on CSI 300, refitted every 20 trading days of the test period on all days before.

Inputs are scaled by the day: no refit changes them, and they are audited once.
"""

from dataclasses import replace

from configs.pretrain.csi300_ranks_ridge import experiment as base
from configs.schema.walk import Walk
from market.scaling.scalers import CrossSectionalZScore
from market.splits import WalkForward

experiment = Walk(
    name="csi300_ranks_ridge_walk",
    experiment=replace(base, scaling=CrossSectionalZScore()),
    calendar=WalkForward(first="2019-01-02", every=20, valid=244),
)
