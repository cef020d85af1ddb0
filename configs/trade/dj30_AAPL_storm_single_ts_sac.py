"""SAC chooses a position in AAPL on the states of STORM with the time-series branch."""

from dataclasses import replace

from configs.trade.dj30_AAPL_storm_dual_sac import experiment as dual

experiment = replace(
    dual, name="dj30_AAPL_storm_single_ts_sac", states="workdir/states/dj30_storm_single_ts/states.safetensors"
)
