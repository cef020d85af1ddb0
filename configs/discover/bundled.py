"""Factors of the 20 S&P 500 stocks that ship with a dependency; name known ones with --factor-table."""

from dataclasses import replace

from configs.discover.synthetic import experiment as synthetic
from configs.prepare.bundled import experiment as bundled
from configs.pretrain.bundled_vae import experiment as vae
from configs.schema.discover import DiscoverModel
from encoders.baselines.pca import PCA
from encoders.vae.model import RecurrentWindow, SectorCondition

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

experiment = replace(
    synthetic,
    name="bundled",
    prepare=bundled,
    known=None,
    split=vae.split,
    optim=replace(vae.optim, epochs=15),
    models=(
        DiscoverModel("PCA", PCA()),
        DiscoverModel("VAE", vae.encoder),
        DiscoverModel("β-VAE", replace(vae.encoder, beta=2.0)),
        DiscoverModel("sector VAE", replace(vae.encoder, condition=SectorCondition(labels))),
        DiscoverModel("temporal VAE", replace(vae.encoder, lookback=10, inference=RecurrentWindow(32))),
    ),
)
