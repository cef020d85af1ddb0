"""SAC chooses a position in AAPL among the bundled S&P 500 stocks; a minute on one CPU core."""

from agents.callbacks import Schedule
from agents.configs import SAC
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
    schedule=Schedule(total_steps=24_000, validate_every=3_000, patience=6),
)
