"""PPO weighs the 20 bundled S&P 500 stocks; a minute on one CPU core."""

from dataclasses import replace

from agents.training.callbacks import TrainingConfig
from configs.trade.dj30_portfolio_storm_dual_ppo import experiment as dj30

experiment = replace(
    dj30,
    name="bundled_portfolio_ppo",
    panel="workdir/data/bundled/panel.safetensors",
    states="workdir/states/bundled_storm_dual/states.safetensors",
    schedule=TrainingConfig(total_steps=400_000, validate_every=25_000, patience=6),
)
