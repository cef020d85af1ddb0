"""FactorVQVAE on a synthetic market whose best RankIC is known, first stage."""

from dataclasses import replace

from configs.pretrain.csi300_factor_vqvae_tokens import experiment as csi300
from configs.pretrain.synthetic_storm_dual import experiment as storm
from encoders.factor_vqvae.tokenizer import FactorVQVAE
from market.features.realised import WithRealisedReturns
from market.labels import Label

LABEL = Label(fill="next_open", horizon=1, transform="zscore")

experiment = replace(
    storm,
    name="synthetic_factor_vqvae_tokens",
    encoder=FactorVQVAE(hidden=64, dim=64, codebook_size=128),
    label=LABEL,
    features=WithRealisedReturns(label=LABEL),
    scaling=csi300.scaling,
    optim=replace(storm.optim, epochs=6, batch_size=8, patience=3),
)
