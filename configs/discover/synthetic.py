"""Five planted factors, recovered by PCA and by VAEs; the truth stands beside them."""

from dataclasses import replace

from configs.prepare.planted import experiment as planted
from configs.pretrain.planted_vae import experiment as vae
from configs.schema.discover import Discover, FactorModel
from encoders.pca import PCA
from encoders.vae import Recurrent
from market.sources.factor_market import FactorMarket

experiment = Discover(
    name="synthetic",
    models=(
        FactorModel("PCA", PCA()),
        FactorModel("VAE", vae.encoder),
        FactorModel("β-VAE", replace(vae.encoder, beta=2.0)),
        FactorModel("temporal VAE", replace(vae.encoder, lookback=10, inference=Recurrent(32))),
    ),
    split=vae.split,
    prepare=planted,
    known=FactorMarket(),
    optim=vae.optim,
)
