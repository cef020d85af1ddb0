"""SAC chooses a position in JPM on the states of STORM with both branches."""

from dataclasses import replace

from configs.trade.dj30_AAPL_storm_dual_sac import experiment as base

experiment = replace(base, name="dj30_JPM_storm_dual_sac", asset="JPM")
