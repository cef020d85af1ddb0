"""FactorVAE on 29 Dow Jones stocks, with few factors for few assets and the term for ranks, which valid prefers."""

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM
from encoders.factor_vae import FactorVAE

encoder = FactorVAE(portfolios=24, factors=16, likelihood=0.2, kl=0.1, rank=1.0)
experiment = DJ30.pretrain("dj30_factor_vae", encoder, SMALL_OPTIM)
