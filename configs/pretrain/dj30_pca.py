"""Principal components of the returns of 29 Dow Jones stocks; split and label as the STORM experiments."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual_small import experiment as small
from encoders.baselines.pca import PCA
from market.features import Feature, Formulas
from market.scaling.scalers import RobustZScore

experiment = replace(
    small,
    name="dj30_pca",
    encoder=PCA(),
    features=Formulas((Feature("RET1", "close / delay(close, 1) - 1"),)),
    scaling=RobustZScore(clip=None),
)
