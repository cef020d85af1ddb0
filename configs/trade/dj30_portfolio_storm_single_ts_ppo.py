"""PPO weighs 29 Dow Jones stocks on the states of STORM with the time-series branch."""

from dataclasses import replace

from configs.trade.dj30_portfolio_storm_dual_ppo import experiment as dual

experiment = replace(
    dual, name="dj30_portfolio_storm_single_ts_ppo", states="workdir/states/dj30_storm_single_ts/states.safetensors"
)
