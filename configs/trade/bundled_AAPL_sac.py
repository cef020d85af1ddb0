"""SAC chooses a position in AAPL among the bundled S&P 500 stocks; a minute on one CPU core."""

from dataclasses import replace

from agents.algorithms.on_policy import SAC
from agents.training.callbacks import TrainingConfig
from configs.trade.bundled_AAPL_ppo import experiment as ppo
from envs import Position

experiment = replace(
    ppo,
    name="bundled_AAPL_sac",
    agent=SAC(),
    action=Position(),
    n_envs=16,
    schedule=TrainingConfig(total_steps=24_000, validate_every=3_000, patience=6),
)
