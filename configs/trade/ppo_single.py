"""PPO sells, holds and buys one Dow Jones stock on the states of STORM with both branches.

--vary asset=AAPL,IBM,INTC states=dj30_storm_single_ts,dj30_storm_dual trains one run for each combination.
"""

from agents.callbacks import Schedule
from agents.configs import PPO
from configs.datasets import DJ30
from configs.schema.trade import Trade
from envs import Costs, SellHoldBuy

experiment = Trade(
    name="ppo_single",
    panel=DJ30.panel,
    states="states/dj30_storm_dual/states.safetensors",
    asset="AAPL",
    agent=PPO(),
    action=SellHoldBuy(),
    costs=Costs(fee_rate=1e-3),
    n_envs=256,
    schedule=Schedule(total_steps=1_000_000, validate_every=50_000, patience=10),
)
