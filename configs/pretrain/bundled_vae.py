"""A VAE of the returns of the 20 bundled S&P 500 stocks."""

from configs.datasets import BUNDLED, RETURNS, UNCLIPPED
from configs.recipes import VAE_OPTIM
from encoders.vae import VAE

experiment = BUNDLED.pretrain("bundled_vae", VAE(), VAE_OPTIM, features=RETURNS, scaling=UNCLIPPED)
