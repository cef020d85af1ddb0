"""A VAE on a market of five planted factors; small batches let its axes turn to the factors' own."""

from configs.schema.pretrain import Pretrain
from encoders.training.optim import Optim
from encoders.vae.model import VAE
from market.features import Feature, Formulas
from market.labels import Label
from market.scaling.scalers import RobustZScore
from market.splits import Split

experiment = Pretrain(
    name="planted_vae",
    panel="workdir/data/planted/panel.safetensors",
    encoder=VAE(),
    features=Formulas((Feature("RET1", "close / delay(close, 1) - 1"),)),
    scaling=RobustZScore(clip=None),
    label=Label(fill="next_close", horizon=1),
    split=Split(
        train=("2010-01-05", "2016-12-30"),
        valid=("2017-01-09", "2017-12-29"),
        test=("2018-01-08", "2019-08-30"),
    ),
    optim=Optim(
        epochs=40,
        batch_size=32,
        learning_rate=5e-3,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        warmup=0.02,
        decay="cosine",
        metric="loss",
        patience=None,
    ),
)
