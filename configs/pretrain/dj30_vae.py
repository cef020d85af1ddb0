"""A VAE of the returns of 29 Dow Jones stocks.

Other variants are overrides: --encoder.beta 2 for more independent factors, --encoder.lookback 20
--encoder.inference:recurrent to infer a day's factors from the days before.
"""

from configs.datasets import DJ30, RETURNS, UNCLIPPED
from configs.recipes import VAE_OPTIM
from encoders.vae import VAE

experiment = DJ30.pretrain("dj30_vae", VAE(), VAE_OPTIM, features=RETURNS, scaling=UNCLIPPED)
