"""SAC chooses the weights of 29 Dow Jones stocks on the states of STORM with both branches."""

from agents.algorithms.on_policy import SAC
from agents.training.callbacks import TrainingConfig
from configs.datasets import DJ30
from configs.schema.trade import Trade
from envs import Costs, LongOnly

experiment = Trade(
    name="sac_portfolio",
    panel=DJ30.panel,
    states="states/dj30_storm_dual/states.safetensors",
    agent=SAC(),
    action=LongOnly(bound=1, scale=5),
    costs=Costs(fee_rate=1e-3),
    n_envs=16,
    schedule=TrainingConfig(total_steps=100_000, validate_every=5_000, patience=10),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
