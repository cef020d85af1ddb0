"""PPO weighs 29 Dow Jones stocks on the states of STORM with both branches."""

from dataclasses import replace

from configs.trade.dj30_AAPL_storm_dual_ppo import experiment as single
from envs import LongOnly

experiment = replace(single, name="dj30_portfolio_storm_dual_ppo", asset=None, action=LongOnly(bound=1, scale=5))
