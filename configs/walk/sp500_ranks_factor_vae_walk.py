"""FactorVAE taught ranks on 505 stocks of the S&P 500, refitted every year from 2015 on with three seeds."""

from configs.pretrain.sp500_ranks_factor_vae import experiment as base
from configs.schema.walk import Walk
from market.splits import WalkForward

experiment = Walk(
    name="sp500_ranks_factor_vae_walk",
    experiment=base,
    calendar=WalkForward(first="2015-01-01", every="year", valid=122),
    seeds=(0, 1, 2),
)
