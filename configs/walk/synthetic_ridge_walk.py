"""Ridge on the synthetic market, refitted every quarter."""

from configs.pretrain.synthetic_ridge import experiment as base
from configs.schema.walk import Walk
from market.splits import WalkForward

experiment = Walk(
    name="synthetic_ridge_walk",
    experiment=base,
    calendar=WalkForward(first="2014-01-01", every="quarter", valid=120),
)
