"""SAC chooses a position in INTC on the states of STORM with the time-series branch."""

from dataclasses import replace

from configs.trade.dj30_INTC_storm_dual_sac import experiment as dual

experiment = replace(
    dual, name="dj30_INTC_storm_single_ts_sac", states="workdir/states/dj30_storm_single_ts/states.safetensors"
)
