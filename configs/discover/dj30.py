"""Factors of 29 Dow Jones stocks; name known ones (Fama and French's) with --factor-table."""

from dataclasses import replace

from configs.discover.bundled import experiment as bundled
from configs.pretrain.dj30_sector_vae import experiment as sector
from configs.pretrain.dj30_vae import experiment as vae
from configs.schema.discover import DiscoverModel

given = DiscoverModel("sector VAE", sector.encoder)

experiment = replace(
    bundled,
    name="dj30",
    prepare=None,
    panel=vae.panel,
    split=vae.split,
    models=tuple(given if model.name == given.name else model for model in bundled.models),
)
