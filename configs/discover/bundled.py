"""Factors of the 20 S&P 500 stocks that ship with a dependency; name known ones with --factor-table."""

from dataclasses import replace

from configs.datasets import BUNDLED
from configs.prepare.bundled import experiment as prepare
from configs.recipes import FACTOR_MODELS, VAE_OPTIM
from configs.schema.discover import Discover, FactorModel
from encoders.vae import VAE
from encoders.vae_networks import Sectors

labels = (
    "technology",  # AAPL
    "technology",  # AMD
    "financials",  # BAC
    "discretionary",  # BBY
    "energy",  # CVX
    "industrials",  # GE
    "discretionary",  # HD
    "health",  # JNJ
    "financials",  # JPM
    "staples",  # KO
    "health",  # LLY
    "health",  # MRK
    "technology",  # MSFT
    "staples",  # PEP
    "health",  # PFE
    "staples",  # PG
    "energy",  # RRC
    "health",  # UNH
    "staples",  # WMT
    "energy",  # XOM
)  # in the order of the panel, which is alphabetical

sectors = FactorModel("sector VAE", VAE(condition=Sectors(labels)))
experiment = Discover(
    name="bundled",
    models=(*FACTOR_MODELS[:-1], sectors, FACTOR_MODELS[-1]),
    split=BUNDLED.split,
    prepare=prepare,
    optim=replace(VAE_OPTIM, epochs=15),
)
