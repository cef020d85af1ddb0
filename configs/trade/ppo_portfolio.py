"""PPO chooses the weights of 29 Dow Jones stocks on the states of STORM with both branches.

A tenth of the usual learning rate: on the valid days a faster agent soon trades a tenth of its wealth a day.
"""

from agents.algorithms.on_policy import PPO
from agents.training.callbacks import TrainingConfig
from configs.datasets import DJ30
from configs.schema.trade import Trade
from envs import Costs, LongOnly

experiment = Trade(
    name="ppo_portfolio",
    panel=DJ30.panel,
    states="states/dj30_storm_dual/states.safetensors",
    agent=PPO(learning_rate=3e-4),
    action=LongOnly(bound=1, scale=5),
    costs=Costs(fee_rate=1e-3),
    n_envs=256,
    schedule=TrainingConfig(total_steps=1_000_000, validate_every=50_000, patience=10),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
