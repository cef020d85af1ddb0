"""Factors of 29 Dow Jones stocks; name known ones (Fama and French's) with --factor-table."""

from dataclasses import replace

from configs.datasets import DJ30
from configs.pretrain.dj30_sector_vae import experiment as sector
from configs.recipes import FACTOR_MODELS, VAE_OPTIM
from configs.schema.discover import Discover, FactorModel

experiment = Discover(
    name="dj30",
    models=(*FACTOR_MODELS[:-1], FactorModel("sector VAE", sector.encoder), FACTOR_MODELS[-1]),
    split=DJ30.split,
    panel=DJ30.panel,
    optim=replace(VAE_OPTIM, epochs=15),
)
