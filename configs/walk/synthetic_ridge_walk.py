"""Ridge on the synthetic market, refitted every quarter; scaled by the day, so that its inputs are audited once."""

from dataclasses import replace

from configs.pretrain.synthetic_ridge import experiment as base
from configs.schema.walk import Walk
from market.scaling.scalers import CrossSectionalZScore
from market.splits import WalkForward

experiment = Walk(
    name="synthetic_ridge_walk",
    experiment=replace(base, scaling=CrossSectionalZScore()),
    calendar=WalkForward(first="2014-01-01", every="quarter", valid=120),
)
