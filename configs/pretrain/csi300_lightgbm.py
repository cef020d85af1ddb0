"""LightGBM on China's CSI 300 with the parameters of qlib's benchmark: train to 2017, valid 2018, test from 2019."""

from dataclasses import replace

from agents.baselines.simple import TopKDropN
from configs.pretrain.dj30_lightgbm import experiment as dj30
from encoders.baselines.lightgbm import LightGBM
from market.labels import Label
from market.scaling.scalers import CrossSectionalZScore
from market.splits import Split

experiment = replace(
    dj30,
    name="csi300_lightgbm",
    panel="workdir/data/csi300/panel.safetensors",
    encoder=LightGBM(),
    scaling=CrossSectionalZScore(),
    portfolio=TopKDropN(k=50, n_drop=5),
    price_limit=0.1,
    label=Label(fill="next_close", horizon=1),
    split=Split(
        train=("2010-01-04", "2017-12-27"),
        valid=("2018-01-02", "2018-12-26"),
        test=("2019-01-02", "2020-08-31"),
    ),
)
