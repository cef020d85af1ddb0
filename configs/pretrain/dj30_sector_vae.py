"""A VAE of 29 Dow Jones stocks that is given what each sector did, so its factors are what sectors leave over."""

from configs.datasets import DJ30, RETURNS, UNCLIPPED
from configs.recipes import VAE_OPTIM
from encoders.vae import VAE
from encoders.vae_networks import Sectors

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

encoder = VAE(condition=Sectors(labels))
experiment = DJ30.pretrain("dj30_sector_vae", encoder, VAE_OPTIM, features=RETURNS, scaling=UNCLIPPED)
