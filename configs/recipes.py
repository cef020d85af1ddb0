"""Encoders, and ways to learn, that experiments on several markets share."""

from dataclasses import replace

from configs.schema.discover import DiscoverModel
from encoders.baselines.lightgbm import Boosting, LightGBM
from encoders.baselines.pca import PCA
from encoders.factor_vae import FactorVAE
from encoders.factor_vqvae.tokenizer import FactorVQVAE
from encoders.quantizers import Affine, Learnable, Residual
from encoders.storm.branches import StormSizes
from encoders.storm.head import GatedHead
from encoders.storm.model import LossWeights, Storm
from encoders.training.optim import Optim
from encoders.vae.model import VAE
from encoders.vae.networks import RecurrentWindow
from market.features.realised import MARKET, REALISED
from market.scaling.by_column import NoScaling, PrefixScaling, ScalingByName
from market.scaling.scalers import CrossSectionalZScore, RobustZScore

STORM = Storm(lookback=64, quantizer=Learnable(codebook_size=512))
"""STORM at the sizes of its reference."""
STORM_OPTIM = Optim(epochs=30, batch_size=32, learning_rate=1e-4, betas=(0.9, 0.95), weight_decay=0.05)

STORM_SMALL = Storm(
    lookback=32,
    quantizer=Learnable(codebook_size=64),
    sizes=StormSizes(dim=32, depth=2, decoder_depth=1, heads=4, asset_state=32, market_state=32),
)
"""STORM small enough for two CPU cores."""
SMALL_OPTIM = Optim(epochs=10, batch_size=32, learning_rate=1e-3, betas=(0.9, 0.95), weight_decay=0.05, patience=4)

CSI300_OPTIM = replace(SMALL_OPTIM, epochs=6, batch_size=8, learning_rate=5e-4)
"""How networks learn on China's CSI 300: six epochs are enough there."""

RANKS_OPTIM = Optim(epochs=6, batch_size=8, learning_rate=5e-4, patience=None, average_best=3)
"""How networks learn ranks over several days: six epochs, of which the three best are averaged if that is better."""

RANKS_FACTOR_VAE = FactorVAE(lookback=8, likelihood=0.2, kl=0.1, rank=1.0)
"""FactorVAE on eight days of history, which serve as well as twenty and take less than half the time."""

RANKS_STORM = Storm(
    lookback=8,
    quantizer=Residual(levels=2, quantizer=Learnable(codebook_size=64)),
    sizes=StormSizes(dim=64, depth=1, decoder_depth=1, heads=4, patch=2, asset_state=64, market_state=32),
    weights=LossWeights(codes=0.5),
    head=GatedHead(),
)
"""STORM with short patches, two levels of codes that are taught the label, and a gated head."""
STORM_RANKS_OPTIM = replace(RANKS_OPTIM, ema_decay=0.998, average_best=1)
"""How it learns ranks: moving averages of the weights instead of the mean of the best epochs."""

TOKENS = FactorVQVAE(hidden=64, dim=64, quantizer=Affine(codebook_size=128))
"""First stage of FactorVQVAE, small enough for a CPU."""
TOKENS_SCALING = ScalingByName(
    rest=CrossSectionalZScore(), named=(PrefixScaling(REALISED, NoScaling()), PrefixScaling(MARKET, RobustZScore()))
)
"""How the columns are scaled that it reads: realised labels as they are, those of the market over time."""

SMALL_TREES = LightGBM(
    boosting=Boosting(
        learning_rate=0.05, num_leaves=31, max_depth=5, min_data_in_leaf=200, lambda_l1=20.0, lambda_l2=60.0
    )
)
"""LightGBM with smaller trees than qlib's, for fewer assets than China's 300."""

VAE_OPTIM = Optim(
    epochs=40,
    batch_size=32,
    learning_rate=5e-3,
    betas=(0.9, 0.999),
    weight_decay=0.0,
    warmup=0.02,
    decay="cosine",
    metric="loss",
    patience=None,
)
"""How VAEs of returns learn; small batches let their axes turn to those of the factors."""

FACTOR_MODELS = (
    DiscoverModel("PCA", PCA()),
    DiscoverModel("VAE", VAE()),
    DiscoverModel("β-VAE", VAE(beta=2.0)),
    DiscoverModel("temporal VAE", VAE(lookback=10, inference=RecurrentWindow(32))),
)
"""Models that a study of discovered factors compares."""
