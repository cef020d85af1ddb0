"""PPO chooses the weights of the 20 bundled S&P 500 stocks; a minute on one CPU core."""

from agents.algorithms.on_policy import PPO
from agents.training.callbacks import TrainingConfig
from configs.datasets import BUNDLED
from configs.schema.trade import Trade
from envs import LongOnly

experiment = Trade(
    name="bundled_portfolio_ppo",
    panel=BUNDLED.panel,
    states="states/bundled_storm_dual/states.safetensors",
    agent=PPO(learning_rate=3e-4),
    action=LongOnly(bound=1, scale=5),
    n_envs=256,
    schedule=TrainingConfig(total_steps=400_000, validate_every=25_000, patience=6),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
