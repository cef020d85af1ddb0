"""A VAE of 29 Dow Jones stocks that is given what each sector did, so its factors are what sectors leave over."""

from dataclasses import replace

from configs.pretrain.dj30_vae import experiment as vae
from encoders.vae.model import SectorCondition

labels = (
    "technology",  # AAPL
    "health",  # AMGN
    "financials",  # AXP
    "industrials",  # BA
    "industrials",  # CAT
    "technology",  # CRM
    "technology",  # CSCO
    "energy",  # CVX
    "communication",  # DIS
    "financials",  # GS
    "discretionary",  # HD
    "industrials",  # HON
    "technology",  # IBM
    "technology",  # INTC
    "health",  # JNJ
    "financials",  # JPM
    "staples",  # KO
    "discretionary",  # MCD
    "industrials",  # MMM
    "health",  # MRK
    "technology",  # MSFT
    "discretionary",  # NKE
    "staples",  # PG
    "financials",  # TRV
    "health",  # UNH
    "financials",  # V
    "communication",  # VZ
    "staples",  # WBA
    "staples",  # WMT
)  # in the order of the panel, which is alphabetical

experiment = replace(vae, name="dj30_sector_vae", encoder=replace(vae.encoder, condition=SectorCondition(labels)))
