"""PPO sells, holds and buys AAPL among the bundled S&P 500 stocks; seconds on one CPU core."""

from agents.algorithms.on_policy import PPO
from agents.training.callbacks import TrainingConfig
from configs.datasets import BUNDLED
from configs.schema.trade import Trade
from envs import SellHoldBuy

experiment = Trade(
    name="bundled_AAPL_ppo",
    panel=BUNDLED.panel,
    states="states/bundled_storm_dual/states.safetensors",
    asset="AAPL",
    agent=PPO(learning_rate=3e-4),
    action=SellHoldBuy(),
    n_envs=256,
    schedule=TrainingConfig(total_steps=400_000, validate_every=25_000, patience=6),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
