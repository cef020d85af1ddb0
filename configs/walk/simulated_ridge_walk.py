"""Ridge on the simulated market, refitted every year on the last 250 days, because the signal drifts."""

from configs.recipes import SMALL_OPTIM
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from encoders.baselines.ridge import Ridge
from market.features import Feature, Formulas
from market.splits import Split, WalkForward

DAYS = Split(train=("2011-03-28", "2013-10-25"), valid=("2013-10-31", "2014-06-27"), test=("2014-07-03", "2015-10-02"))
ridge = Pretrain(
    name="simulated_ridge",
    panel="data/simulated/panel.safetensors",
    encoder=Ridge(target="zscore"),
    features=Formulas(
        (
            Feature("day", "close / delay(close, 1) - 1"),
            Feature("week", "close / delay(close, 5) - 1"),
            Feature("month", "close / delay(close, 20) - 1"),
            Feature("gap", "open / delay(close, 1) - 1"),
            Feature("volume", "log((volume + 1) / (mean(volume, 20) + 1))"),
            Feature("unrest", "std(close / delay(close, 1) - 1, 20)"),
        )
    ),
    split=DAYS,
    optim=SMALL_OPTIM,
)
experiment = Walk(
    name="simulated_ridge_walk",
    experiment=ridge,
    calendar=WalkForward(first="2011-03-28", every=252, valid=60, train=250),
)
