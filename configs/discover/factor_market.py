"""Five factors behind a simulated market, recovered by PCA and by VAEs; the truth stands beside them."""

from configs.datasets import FACTOR_MARKET
from configs.prepare.factor_market import experiment as prepare
from configs.recipes import FACTOR_MODELS, VAE_OPTIM
from configs.schema.discover import Discover
from market.sources.factor_market import FactorMarket

experiment = Discover(
    name="factor_market",
    models=FACTOR_MODELS,
    split=FACTOR_MARKET.split,
    prepare=prepare,
    known=FactorMarket(),
    optim=VAE_OPTIM,
)
