"""Scaling of features: fitted on train days only, or causal by construction."""

from market.scaling.by_column import NoScaling, PrefixScaling, ScalingByName
from market.scaling.scalers import (
    CrossSectionalRank,
    CrossSectionalZScore,
    RobustZScore,
    Scaler,
    Scaling,
    TrailingZScore,
)

__all__ = [
    "CrossSectionalRank",
    "CrossSectionalZScore",
    "NoScaling",
    "PrefixScaling",
    "RobustZScore",
    "Scaler",
    "Scaling",
    "ScalingByName",
    "TrailingZScore",
]
