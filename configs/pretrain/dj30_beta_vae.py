"""A VAE of 29 Dow Jones stocks whose factors must be twice as independent for the same fit; all else as dj30_vae."""

from dataclasses import replace

from configs.pretrain.dj30_vae import experiment as vae

experiment = replace(vae, name="dj30_beta_vae", encoder=replace(vae.encoder, beta=2.0))
