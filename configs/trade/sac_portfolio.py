"""SAC weighs 29 Dow Jones stocks on the states of STORM with both branches."""

from agents.callbacks import Schedule
from agents.configs import SAC
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
    schedule=Schedule(total_steps=100_000, validate_every=5_000, patience=10),
)
