"""STORM with both branches on 29 Dow Jones stocks, at the reference's sizes and period.

Train to 2019-03, valid to 2021-03, test from 2021-04; the reference validates and tests on the same days.
"""

from configs.schema.pretrain import Pretrain
from encoders.storm.model import Storm
from encoders.training.optim import Optim
from market.splits import Split

experiment = Pretrain(
    name="dj30_storm_dual",
    panel="workdir/data/dj30/panel.safetensors",
    encoder=Storm(lookback=64, codebook_size=512),
    split=Split(
        train=("2008-04-01", "2019-03-29"),
        valid=("2019-04-08", "2021-03-31"),
        test=("2021-04-08", "2024-03-28"),
    ),
    optim=Optim(epochs=30, batch_size=32, learning_rate=1e-4, betas=(0.9, 0.95), weight_decay=0.05),
)
