from .features import Feature, FeatureSet, Formulas, feature
from .features.alpha158 import Alpha158
from .features.alpha360 import Alpha360
from .features.expressions import Expression
from .features.realised import WithRealisedReturns
from .features.storm import StormFeatures
from .forecasts import ForecastRecord, Forecasts
from .panel import Panel
from .preparation import prepared, read_membership
from .preparation.quality import QualityFinding, Report, Rules, clean
from .preparation.resampling import resample
from .prices.fills import Fill, default_fill, fill_prices, marked_prices
from .prices.labels import Label
from .scaling import (
    CrossSectionalRank,
    CrossSectionalZScore,
    NoScaling,
    PrefixScaling,
    RobustZScore,
    Scaler,
    Scaling,
    ScalingByName,
    TrailingZScore,
)
from .sources import Source
from .sources.bundled import Bundled
from .sources.factor_market import FactorMarket
from .sources.known_factors import FactorSource, FactorTable, KnownFactors
from .sources.qlib import QlibStore, write_qlib
from .sources.synthetic import Synthetic, SyntheticMarket
from .sources.tables import Tables
from .sources.yahoo import YFinance
from .splits import Split, SplitDays, WalkForward
from .states import MarketStates
from .storage import read_arrays, read_header

__all__ = [
    "Alpha158",
    "Alpha360",
    "Bundled",
    "CrossSectionalRank",
    "CrossSectionalZScore",
    "Expression",
    "FactorMarket",
    "FactorSource",
    "FactorTable",
    "Feature",
    "FeatureSet",
    "Fill",
    "ForecastRecord",
    "Forecasts",
    "Formulas",
    "KnownFactors",
    "Label",
    "MarketStates",
    "NoScaling",
    "Panel",
    "PrefixScaling",
    "QlibStore",
    "QualityFinding",
    "Report",
    "RobustZScore",
    "Rules",
    "Scaler",
    "Scaling",
    "ScalingByName",
    "Source",
    "Split",
    "SplitDays",
    "StormFeatures",
    "Synthetic",
    "SyntheticMarket",
    "Tables",
    "TrailingZScore",
    "WalkForward",
    "WithRealisedReturns",
    "YFinance",
    "clean",
    "default_fill",
    "feature",
    "fill_prices",
    "marked_prices",
    "prepared",
    "read_arrays",
    "read_header",
    "read_membership",
    "resample",
    "write_qlib",
]
