"""SAC chooses a position in one Dow Jones stock on the states of STORM with both branches.

--vary asset=AAPL,IBM,INTC states=dj30_storm_single_ts,dj30_storm_dual trains one run for each combination.
"""

from agents.algorithms.on_policy import SAC
from agents.training.callbacks import TrainingConfig
from configs.datasets import DJ30
from configs.schema.trade import Trade
from envs import Costs, Position

experiment = Trade(
    name="sac_single",
    panel=DJ30.panel,
    states="states/dj30_storm_dual/states.safetensors",
    asset="AAPL",
    agent=SAC(),
    action=Position(),
    costs=Costs(fee_rate=1e-3),
    n_envs=16,
    schedule=TrainingConfig(total_steps=100_000, validate_every=5_000, patience=10),
    in_sample="allow",  # one split: the encoder has seen the labels of the agent's train and valid days
)
