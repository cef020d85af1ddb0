"""FactorVAE taught ranks on CSI 300, refitted every year from 2013 on with three seeds: states agents may learn on."""

from configs.pretrain.csi300_ranks_factor_vae import experiment as base
from configs.schema.walk import Walk
from market.splits import WalkForward

experiment = Walk(
    name="csi300_ranks_factor_vae_walk",
    experiment=base,
    calendar=WalkForward(first="2013-01-01", every="year", valid=122),
    seeds=(0, 1, 2),
)
