"""FactorVAE taught ranks on CSI 300, refitted every year from 2013 on: states that agents may learn on."""

from dataclasses import replace

from configs.pretrain.csi300_ranks_factor_vae import experiment as base
from configs.recipes import RANKS_OPTIM
from configs.schema.walk import Walk
from market.splits import WalkForward

experiment = Walk(
    name="csi300_ranks_factor_vae_walk",
    experiment=replace(base, optim=replace(RANKS_OPTIM, epochs=4)),  # eight trainings in half an hour on one core
    calendar=WalkForward(first="2013-01-01", every="year", valid=122),
)
