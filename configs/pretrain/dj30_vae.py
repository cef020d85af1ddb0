"""A VAE of the returns of 29 Dow Jones stocks; split and label as the STORM experiments."""

from dataclasses import replace

from configs.pretrain.dj30_pca import experiment as pca
from configs.pretrain.planted_vae import experiment as planted

experiment = replace(pca, name="dj30_vae", encoder=planted.encoder, optim=planted.optim)
