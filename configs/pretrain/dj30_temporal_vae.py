"""A VAE of 29 Dow Jones stocks that infers a day's factors from its last 20 days; all else as dj30_vae."""

from dataclasses import replace

from configs.pretrain.dj30_vae import experiment as vae
from encoders.vae.model import RecurrentWindow

experiment = replace(
    vae, name="dj30_temporal_vae", encoder=replace(vae.encoder, lookback=20, inference=RecurrentWindow())
)
