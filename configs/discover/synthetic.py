"""Five planted factors, recovered by PCA and by VAEs; the truth stands beside them."""

from dataclasses import replace

from configs.prepare.planted import experiment as planted
from configs.pretrain.planted_vae import experiment as vae
from configs.schema.discover import Discover, DiscoverModel
from encoders.baselines.pca import PCA
from encoders.vae.model import RecurrentWindow
from market.sources.factor_market import FactorMarket

experiment = Discover(
    name="synthetic",
    models=(
        DiscoverModel("PCA", PCA()),
        DiscoverModel("VAE", vae.encoder),
        DiscoverModel("β-VAE", replace(vae.encoder, beta=2.0)),
        DiscoverModel("temporal VAE", replace(vae.encoder, lookback=10, inference=RecurrentWindow(32))),
    ),
    split=vae.split,
    prepare=planted,
    known=FactorMarket(),
    optim=vae.optim,
)
