"""FactorVAE taught ranks on 505 stocks of the S&P 500, refitted every year from 2015 on; scaling by the day."""

from dataclasses import replace

from configs.pretrain.sp500_ranks_factor_vae import experiment as base
from configs.recipes import RANKS_OPTIM
from configs.schema.walk import Walk
from market.scaling.scalers import CrossSectionalZScore
from market.splits import WalkForward

experiment = Walk(
    name="sp500_ranks_factor_vae_walk",
    experiment=replace(base, scaling=CrossSectionalZScore(), optim=replace(RANKS_OPTIM, epochs=4)),
    calendar=WalkForward(first="2015-01-01", every="year", valid=122),
)
