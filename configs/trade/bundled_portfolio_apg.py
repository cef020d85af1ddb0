"""APG steps towards weights over the 20 bundled S&P 500 stocks, on the states and the forecast of STORM."""

from dataclasses import replace

from agents.algorithms.apg import APG
from agents.training.callbacks import TrainingConfig
from configs.trade.bundled_portfolio_ppo import experiment as ppo
from envs import Excess, LongOnly, Step

experiment = replace(
    ppo,
    name="bundled_portfolio_apg",
    agent=APG(trade_penalty=1e-3, learning_rate=1e-3),
    action=Step(LongOnly(cash=False, bound=1, scale=5)),
    reward=Excess("equal_weight"),
    n_envs=32,
    schedule=TrainingConfig(total_steps=64_000, validate_every=16_000, patience=3),
)
