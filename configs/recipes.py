"""Encoders, and ways to learn, that experiments on several markets share."""

from dataclasses import replace

from configs.schema.discover import FactorModel
from encoders.factor_vae import FactorVAE
from encoders.factor_vqvae import FactorVQVAE
from encoders.pca import PCA
from encoders.quantizers import Affine, Learnable, Residual
from encoders.schedule import Optim
from encoders.storm import Storm, Weights
from encoders.storm_branches import Sizes
from encoders.storm_head import GatedHead
from encoders.trees import Boosting, LightGBM
from encoders.vae import VAE
from encoders.vae_networks import Recurrent
from market.column_scaling import ByName, Named, Unscaled
from market.features.realised import MARKET, REALISED
from market.scaling import CrossSectionalZScore, RobustZScore

STORM = Storm(lookback=64, quantizer=Learnable(codebook_size=512))
"""STORM at the sizes of its reference."""
STORM_OPTIM = Optim(epochs=30, batch_size=32, learning_rate=1e-4, betas=(0.9, 0.95), weight_decay=0.05)

STORM_SMALL = Storm(
    lookback=32,
    quantizer=Learnable(codebook_size=64),
    sizes=Sizes(dim=32, depth=2, decoder_depth=1, heads=4, asset_state=32, market_state=32),
)
"""STORM small enough for two CPU cores."""
SMALL_OPTIM = Optim(epochs=10, batch_size=32, learning_rate=1e-3, betas=(0.9, 0.95), weight_decay=0.05, patience=4)

RANKS_OPTIM = Optim(epochs=6, batch_size=8, learning_rate=5e-4, patience=None, average_best=3)
"""How networks learn ranks over several days: six epochs, of which the three best are averaged if that is better."""

RANKS_FACTOR_VAE = FactorVAE(lookback=8, likelihood=0.2, kl=0.1, rank=1.0)
"""FactorVAE on eight days of history, which serve as well as twenty and take less than half the time."""

RANKS_STORM = Storm(
    lookback=8,
    quantizer=Residual(levels=2, quantizer=Learnable(codebook_size=64)),
    sizes=Sizes(dim=64, depth=1, decoder_depth=1, heads=4, patch=2, asset_state=64, market_state=32),
    weights=Weights(codes=0.5),
    head=GatedHead(),
)
"""STORM with short patches, two levels of codes that are taught the label, and a gated head."""
STORM_RANKS_OPTIM = replace(RANKS_OPTIM, ema_decay=0.998, average_best=1)
"""How it learns ranks: moving averages of the weights instead of the mean of the best epochs."""

TOKENS = FactorVQVAE(hidden=64, dim=64, quantizer=Affine(codebook_size=128))
"""First stage of FactorVQVAE, small enough for a CPU."""
TOKENS_SCALING = ByName(rest=CrossSectionalZScore(), named=(Named(REALISED, Unscaled()), Named(MARKET, RobustZScore())))
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
    FactorModel("PCA", PCA()),
    FactorModel("VAE", VAE()),
    FactorModel("β-VAE", VAE(beta=2.0)),
    FactorModel("temporal VAE", VAE(lookback=10, inference=Recurrent(32))),
)
"""Models that a study of discovered factors compares."""
