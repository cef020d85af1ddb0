"""SAC chooses a position in IBM on the states of STORM with the cross-section branch."""

from dataclasses import replace

from configs.trade.dj30_IBM_storm_dual_sac import experiment as dual

experiment = replace(
    dual, name="dj30_IBM_storm_single_cs_sac", states="workdir/states/dj30_storm_single_cs/states.safetensors"
)
