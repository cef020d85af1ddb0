"""PPO sells, holds and buys AAPL on the states of STORM with both branches: the base of the DJ30 runs."""

from agents.algorithms.on_policy import PPO
from agents.training.callbacks import TrainingConfig
from configs.schema.trade import Trade
from envs import Costs, SellHoldBuy

experiment = Trade(
    name="dj30_AAPL_storm_dual_ppo",
    panel="workdir/data/dj30/panel.safetensors",
    states="workdir/states/dj30_storm_dual/states.safetensors",
    asset="AAPL",
    agent=PPO(),
    action=SellHoldBuy(),
    costs=Costs(fee_rate=1e-3),
    n_envs=256,
    schedule=TrainingConfig(total_steps=1_000_000, validate_every=50_000, patience=10),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
