"""FactorVQVAE on China's CSI 300, first stage, taught ranks over several days; features as they are."""

from dataclasses import replace

from configs.datasets import CSI300_RANKS
from configs.recipes import RANKS_OPTIM, TOKENS, TOKENS_SCALING
from market.features.realised import WithRealisedReturns

label = CSI300_RANKS.label
RANKS_TOKENS = replace(TOKENS, lookback=10, span=label.span, dim=32, norm=False)
experiment = CSI300_RANKS.pretrain(
    "csi300_ranks_factor_vqvae_tokens",
    RANKS_TOKENS,
    RANKS_OPTIM,
    features=WithRealisedReturns(label=label),
    scaling=TOKENS_SCALING,
)
