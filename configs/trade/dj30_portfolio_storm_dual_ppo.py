"""PPO weighs 29 Dow Jones stocks on the states of STORM with both branches.

A tenth of the usual learning rate: on the valid days a faster agent soon trades a tenth of its wealth a day.
"""

from dataclasses import replace

from agents.algorithms.on_policy import PPO
from configs.trade.dj30_AAPL_storm_dual_ppo import experiment as single
from envs import LongOnly

experiment = replace(
    single,
    name="dj30_portfolio_storm_dual_ppo",
    asset=None,
    action=LongOnly(bound=1, scale=5),
    agent=PPO(learning_rate=3e-4),
)
