"""A VAE of a market of five planted factors; small batches let its axes turn to the factors' own."""

from configs.datasets import FACTOR_MARKET, RETURNS, UNCLIPPED
from configs.recipes import VAE_OPTIM
from encoders.vae import VAE

experiment = FACTOR_MARKET.pretrain("factor_market_vae", VAE(), VAE_OPTIM, features=RETURNS, scaling=UNCLIPPED)
