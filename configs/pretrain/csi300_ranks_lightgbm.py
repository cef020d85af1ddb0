"""LightGBM on China's CSI 300, taught the mean rank of the returns of one to five days; the base of `csi300_ranks_*`.

Forecasts are judged on the return of one day, as everywhere. Train and valid end a week earlier than in
`csi300_lightgbm`, so that no label reaches into the next part. Average prices come from amount and volume.
"""

from dataclasses import replace

from configs.pretrain.csi300_lightgbm import experiment as lightgbm
from market.labels import Label
from market.splits import Split

experiment = replace(
    lightgbm,
    name="csi300_ranks_lightgbm",
    label=Label(fill="next_close", horizon=1, transform="rank", horizons=(1, 2, 3, 5)),
    split=Split(
        train=("2010-01-04", "2017-12-13"),
        valid=("2018-01-02", "2018-12-13"),
        test=("2019-01-02", "2020-08-31"),
    ),
)
