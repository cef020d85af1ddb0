"""STORM with both branches on the 20 bundled S&P 500 closes; small, minutes on two CPU cores."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from market.labels import Label
from market.splits import Split

experiment = replace(
    small,
    name="bundled_storm_dual",
    panel="workdir/data/bundled/panel.safetensors",
    label=Label(fill="next_close", horizon=1),
    split=Split(
        train=("2005-01-03", "2014-12-31"),
        valid=("2015-01-12", "2017-12-29"),
        test=("2018-01-08", "2022-12-28"),
    ),
)
