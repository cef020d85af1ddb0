"""PPO sells, holds and buys AAPL on the states of STORM with the cross-section branch."""

from dataclasses import replace

from configs.trade.dj30_AAPL_storm_dual_ppo import experiment as dual

experiment = replace(
    dual, name="dj30_AAPL_storm_single_cs_ppo", states="workdir/states/dj30_storm_single_cs/states.safetensors"
)
