"""PPO sells, holds and buys IBM on the states of STORM with the time-series branch."""

from dataclasses import replace

from configs.trade.dj30_IBM_storm_dual_ppo import experiment as dual

experiment = replace(
    dual, name="dj30_IBM_storm_single_ts_ppo", states="workdir/states/dj30_storm_single_ts/states.safetensors"
)
