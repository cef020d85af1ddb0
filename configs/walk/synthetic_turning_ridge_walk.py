"""Ridge on a synthetic market whose signal turns, refitted every quarter on the last year and a half."""

from dataclasses import replace

from configs.pretrain.synthetic_ridge import experiment as base
from configs.schema.walk import Walk
from market.scaling.scalers import CrossSectionalZScore
from market.splits import WalkForward

experiment = Walk(
    name="synthetic_turning_ridge_walk",
    experiment=replace(base, panel="data/synthetic_turning/panel.safetensors", scaling=CrossSectionalZScore()),
    calendar=WalkForward(first="2012-01-02", every="quarter", valid=60, train=378),
)
