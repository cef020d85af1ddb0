"""STORM with both branches on the S&P 500, 2013 to 2018, at the reference's sizes; a batch is taken in four parts."""

from dataclasses import replace

from agents.baselines.simple import TopKDropN
from configs.pretrain.dj30_storm_dual import experiment as dj30
from market.splits import Split

experiment = replace(
    dj30,
    name="sp500_storm_dual",
    panel="workdir/data/sp500/panel.safetensors",
    split=Split(
        train=("2013-02-08", "2016-06-30"),
        valid=("2016-07-11", "2016-12-30"),
        test=("2017-01-09", "2018-02-07"),
    ),
    portfolio=TopKDropN(k=50, n_drop=5),
    optim=replace(dj30.optim, batch_size=16, accumulation=4),
)
