from .backtest import Backtest, Holding
from .deflation import deflated_sharpe, probabilistic_sharpe
from .encoder_comparison import Forecaster, SeedForecast
from .factor_study import FactorStudy, ModelResult, ReferenceFactors
from .factors import match_factors
from .performance import (
    annual_return,
    annual_volatility,
    calmar_ratio,
    cumulative_return,
    max_drawdown,
    relative_performance,
    sharpe_ratio,
    sortino_ratio,
    wealth_path,
)
from .policy_comparison import PolicyComparison
from .prediction import (
    daily_ic,
    daily_rank_ic,
    prediction_metrics,
    quantile_returns,
    quantile_spread,
    rank_ic_decay,
)
from .reports.forecast import ForecastEvaluation
from .rollout import Policy, benchmark_backtest
from .significance import Comparison, compare, intervals
from .verdict import Verdict

__all__ = [
    "Backtest",
    "Comparison",
    "FactorStudy",
    "ForecastEvaluation",
    "Forecaster",
    "Holding",
    "ModelResult",
    "Policy",
    "PolicyComparison",
    "ReferenceFactors",
    "SeedForecast",
    "Verdict",
    "annual_return",
    "annual_volatility",
    "benchmark_backtest",
    "calmar_ratio",
    "compare",
    "cumulative_return",
    "daily_ic",
    "daily_rank_ic",
    "deflated_sharpe",
    "intervals",
    "match_factors",
    "max_drawdown",
    "prediction_metrics",
    "probabilistic_sharpe",
    "quantile_returns",
    "quantile_spread",
    "rank_ic_decay",
    "relative_performance",
    "sharpe_ratio",
    "sortino_ratio",
    "wealth_path",
]
