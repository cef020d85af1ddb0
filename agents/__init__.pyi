from .algorithms.apg import APG
from .algorithms.base import AgentConfig
from .algorithms.off_policy import DQN, SAC, TD3, TQC
from .algorithms.on_policy import A2C, PPO, RecurrentPPO
from .baselines.base import ClassicalPolicy, Rule
from .baselines.hindsight import Hindsight
from .baselines.mean_variance import ForecastPortfolio, MeanVariance, MinimumVariance, RiskParity
from .baselines.simple import (
    BuyAndHold,
    Cash,
    EqualWeight,
    LongShortQuantiles,
    Momentum,
    TopKDropN,
)
from .checkpoint import TrainedAgent, load_agent, save_agent
from .committee import Committee
from .differentiable.market import DifferentiableMarket
from .history import History, Past
from .networks.on_policy import PortfolioPolicy
from .training.callbacks import TrainingConfig
from .training.loop import Task, train_agent
from .vec_env import MarketVecEnv

__all__ = [
    "A2C",
    "APG",
    "DQN",
    "PPO",
    "SAC",
    "TD3",
    "TQC",
    "AgentConfig",
    "BuyAndHold",
    "Cash",
    "ClassicalPolicy",
    "Committee",
    "DifferentiableMarket",
    "EqualWeight",
    "ForecastPortfolio",
    "Hindsight",
    "History",
    "LongShortQuantiles",
    "MarketVecEnv",
    "MeanVariance",
    "MinimumVariance",
    "Momentum",
    "Past",
    "PortfolioPolicy",
    "RecurrentPPO",
    "RiskParity",
    "Rule",
    "Task",
    "TopKDropN",
    "TrainedAgent",
    "TrainingConfig",
    "load_agent",
    "save_agent",
    "train_agent",
]
