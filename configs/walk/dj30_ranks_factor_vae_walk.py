"""FactorVAE taught ranks on the DJ30, refitted every year from 2012 on; scaled by the day, so audited once."""

from dataclasses import replace

from configs.pretrain.dj30_ranks_factor_vae import experiment as base
from configs.recipes import RANKS_OPTIM
from configs.schema.walk import Walk
from market.scaling.scalers import CrossSectionalZScore
from market.splits import WalkForward

experiment = Walk(
    name="dj30_ranks_factor_vae_walk",
    experiment=replace(base, scaling=CrossSectionalZScore(), optim=replace(RANKS_OPTIM, epochs=4)),
    calendar=WalkForward(first="2012-01-01", every="year", valid=252),
)
