"""FactorVAE taught ranks on the DJ30, refitted every year from 2012 on with three seeds."""

from configs.pretrain.dj30_ranks_factor_vae import experiment as base
from configs.schema.walk import Walk
from market.splits import WalkForward

experiment = Walk(
    name="dj30_ranks_factor_vae_walk",
    experiment=base,
    calendar=WalkForward(first="2012-01-01", every="year", valid=252),
    seeds=(0, 1, 2),
)
