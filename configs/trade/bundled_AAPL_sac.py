"""SAC chooses a position in AAPL among the bundled S&P 500 stocks; a minute on one CPU core."""

from agents.algorithms.on_policy import SAC
from agents.training.callbacks import TrainingConfig
from configs.datasets import BUNDLED
from configs.schema.trade import Trade
from envs import Position

experiment = Trade(
    name="bundled_AAPL_sac",
    panel=BUNDLED.panel,
    states="states/bundled_storm_dual/states.safetensors",
    asset="AAPL",
    agent=SAC(),
    action=Position(),
    n_envs=16,
    schedule=TrainingConfig(total_steps=24_000, validate_every=3_000, patience=6),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
