"""FactorVQVAE on 29 Dow Jones stocks, first stage: a vocabulary of standardised returns."""

from dataclasses import replace

from configs.datasets import DJ30
from configs.recipes import SMALL_OPTIM, TOKENS, TOKENS_SCALING
from market.features.realised import WithRealisedReturns
from market.prices.labels import Label

label = Label(fill="next_open", horizon=1, transform="zscore")
experiment = DJ30.pretrain(
    "dj30_factor_vqvae_tokens",
    TOKENS,
    replace(SMALL_OPTIM, epochs=6, patience=3),
    features=WithRealisedReturns(label=label),
    scaling=TOKENS_SCALING,
    label=label,
)
