"""A VAE of the returns of the 20 bundled S&P 500 stocks; days as the other bundled experiments."""

from dataclasses import replace

from configs.pretrain.bundled_storm_dual import experiment as storm
from configs.pretrain.planted_vae import experiment as planted

experiment = replace(planted, name="bundled_vae", panel=storm.panel, label=storm.label, split=storm.split)
