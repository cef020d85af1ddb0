"""Ridge on the simulated market, refitted every year on the last 250 days, because the signal drifts."""

from configs.datasets import SIMULATED_DAYS, SIMULATED_PANEL
from configs.recipes import SMALL_OPTIM
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from encoders.baselines.ridge import Ridge
from envs import Costs
from market.features import Feature, Formulas
from market.splits import WalkForward

ridge = Pretrain(
    name="simulated_ridge",
    panel=SIMULATED_PANEL,
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
    split=SIMULATED_DAYS,
    costs=Costs(fee_rate=5e-4),
    optim=SMALL_OPTIM,
)
experiment = Walk(
    name="simulated_ridge_walk",
    experiment=ridge,
    calendar=WalkForward(first="2011-03-28", every=252, valid=60, train=250),
)
