"""APG on the simulated market, on the states and the forecast of a walk of ridge."""

from agents.algorithms.apg import APG
from agents.training.callbacks import TrainingConfig
from configs.datasets import SIMULATED_DAYS, SIMULATED_PANEL
from configs.schema.trade import Trade
from envs import Costs, Excess, LongOnly, Step

experiment = Trade(
    name="simulated_portfolio_apg",
    panel=SIMULATED_PANEL,
    states="states/simulated_ridge_walk/states.safetensors",
    observe="forecast",  # the states of one refit say little in the coordinates of another
    agent=APG(learning_rate=1e-2, state_dropout=0.0, averaging=0.95),
    action=Step(LongOnly(cash=False, bound=1, scale=8)),
    reward=Excess("equal_weight"),
    costs=Costs(fee_rate=5e-4),
    split=SIMULATED_DAYS,
    n_envs=128,
    schedule=TrainingConfig(total_steps=256_000, validate_every=64_000, patience=2),
)
