"""SAC chooses a position in AAPL on the states of STORM with both branches."""

from dataclasses import replace

from agents.algorithms.on_policy import SAC
from agents.training.callbacks import TrainingConfig
from configs.trade.dj30_AAPL_storm_dual_ppo import experiment as ppo
from envs import Position

experiment = replace(
    ppo,
    name="dj30_AAPL_storm_dual_sac",
    agent=SAC(),
    action=Position(),
    n_envs=16,
    schedule=TrainingConfig(total_steps=100_000, validate_every=5_000, patience=10),
)
