"""FactorVQVAE on China's CSI 300, first stage: a vocabulary of standardised returns."""

from dataclasses import replace

from configs.datasets import CSI300
from configs.recipes import SMALL_OPTIM, TOKENS, TOKENS_SCALING
from market.features.realised import WithRealisedReturns
from market.labels import Label

label = Label(fill="next_close", horizon=1, transform="zscore")
experiment = CSI300.pretrain(
    "csi300_factor_vqvae_tokens",
    TOKENS,
    replace(SMALL_OPTIM, epochs=6, batch_size=8, learning_rate=5e-4, patience=3),
    features=WithRealisedReturns(label=label),
    scaling=TOKENS_SCALING,
    label=label,
)
