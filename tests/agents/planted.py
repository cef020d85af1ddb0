"""Small markets for agents: noise, and one whose states know tomorrow's expected return."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.algorithms.apg import APG
from agents.algorithms.on_policy import A2C, DQN, PPO, SAC, TD3, TQC, RecurrentPPO
from agents.training.callbacks import TrainingConfig
from agents.training.loop import Task
from envs import Costs, LogGrowth, LongOnly, Position, SellHoldBuy, Tape, Templates
from market.panel import Panel
from market.states import MarketStates
from tests.envs.markets import panel_of, plain_panel, states_of

SMALL_MEMORY: dict[str, Any] = {"buffer_size": 400, "learning_starts": 20, "batch_size": 16, "gradient_steps": 2}
SMALL = (
    PPO(n_steps=8, batch_size=16, n_epochs=2),
    A2C(),
    RecurrentPPO(n_steps=8, batch_size=16, n_epochs=2, lstm_hidden_size=8),
    SAC(**SMALL_MEMORY),
    TD3(**SMALL_MEMORY),
    TQC(**SMALL_MEMORY),
    APG(segment_days=8, accounts_per_path=2),
    DQN(**SMALL_MEMORY, exploration_fraction=1.0, exploration_final_eps=0.5),
)
"""Every agent, at sizes of a test."""

NAMES = [type(agent).__name__ for agent in SMALL]
SHORT = TrainingConfig(total_steps=192, validate_every=64, patience=None)


def noise_tape(days: int = 60, assets: int = 4, seed: int = 0, width: int = 4) -> Tape:
    panel = plain_panel(days, assets, seed)
    return Tape.from_panel(panel, states_of(panel, width, seed))


def action_for(agent: Any, portfolio: bool) -> Any:
    if isinstance(agent, DQN):
        return Templates() if portfolio else SellHoldBuy()
    return LongOnly(bound=1, scale=5) if portfolio else Position()


def task_for(agent: Any, portfolio: bool = True, n_envs: int = 4) -> Task:
    train, valid = noise_tape(), noise_tape(days=20, seed=1)
    if not portfolio:
        train, valid = train.only("A0"), valid.only("A0")
    return Task(train, valid, action_for(agent, portfolio), LogGrowth(), Costs(fee_rate=1e-3), 12, n_envs, portfolio)


def planted(days: int, assets: int, seed: int, signal: float = 0.01, noise: float = 0.01) -> tuple[Panel, MarketStates]:
    """Returns a market and states whose first number is tomorrow's expected return, among numbers that say nothing."""
    generator = np.random.default_rng(seed)
    expected = generator.normal(0, signal, (days, assets))
    moves = expected[:-1] + generator.normal(0, noise, (days - 1, assets))
    close = 100 * np.exp(np.concatenate([np.zeros((1, assets)), np.cumsum(moves, axis=0)]))
    panel = panel_of(close)
    states = states_of(panel, width=3, seed=seed, fill="close")
    known = states.asset.copy()
    known[:, :, 0] = expected / signal
    return panel, replace(states, asset=known)


def arrays_of(path: Path) -> bytes:
    return path.read_bytes()
