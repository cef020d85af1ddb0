"""PPO sells, holds and buys INTC on the states of STORM with both branches."""

from dataclasses import replace

from configs.trade.dj30_AAPL_storm_dual_ppo import experiment as base

experiment = replace(base, name="dj30_INTC_storm_dual_ppo", asset="INTC")
