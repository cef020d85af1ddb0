"""Training steps per CPU-second, end to end: ours beside stable-baselines3's defaults and FinRL's stock environment.

    python -m benchmarks agents [--panel PANEL.safetensors | BARS.parquet] [--no-learn] [--no-peers]

One torch thread. A row is the better of two measurements of the CPU time of `learn` after a warm-up: rollouts, resets,
updates, everything. Market states are 64 wide and random, which costs as much as real ones. The second table shows that
the shipped defaults learn no worse than stable-baselines3's at equal environment steps: growth on held-out days of a
market with a planted signal. The last lines are the memory of a million steps of SAC. FinRL
(`pip install -r benchmarks/requirements.txt`) is left out where it is not installed.
"""

import importlib.util
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO as SB3PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.algorithms.apg import APG
from agents.algorithms.base import AgentConfig
from agents.algorithms.on_policy import PPO, SAC
from agents.networks.extractors import StateTable
from agents.training.callbacks import TrainingConfig
from agents.training.loop import Task, train_agent, with_scaled_rewards
from benchmarks.envs import COSTS, WIDTH, load, random_panel, random_states
from envs import BatchMarket, Costs, Episodes, LogGrowth, LongOnly, SellHoldBuy, Step, Tape
from envs.actions.portfolio import Action
from envs.observations import View
from market.artifacts import HISTORY
from market.panel import BARS, Panel

SHIPPED = PPO()
SB3_BATCH = replace(SHIPPED, learning_rate=3e-4, n_steps=2048, batch_size=64, n_epochs=10)
"""Defaults of stable-baselines3, over our networks."""

GRADIENT = APG()
N_ENVS, SB3_ENVS, APG_ENVS = 256, 8, 32
PORTFOLIO = LongOnly(bound=1, scale=5)
Row = tuple[str, str, float | None]


@dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    panel: Path | None = None
    """Panel file or Parquet of long bars; by default random bars of the Dow Jones 30's size."""
    learn: bool = True
    """Show what is learnt at equal steps, which takes minutes."""
    peers: bool = True
    """Measure the defaults of stable-baselines3 and FinRL as well, which are slow."""


def main(argv: list[str] | None = None) -> None:
    """Prints the tables."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks agents")
    torch.set_num_threads(1)
    panel = random_panel(4027, 29) if options.panel is None else load(options.panel)
    rows = ours(panel) + (peers(panel) if options.peers else [])
    title = f"Training steps per CPU-second, {len(panel.assets)} assets x {len(panel):,} days, {platform.machine()}"
    table = Table("training", "how", title=title, title_justify="left")
    table.add_column("steps/s", justify="right")
    for name, how, rate in rows:
        table.add_row(name, how, "not installed" if rate is None else f"{rate:,.0f}")
    Console().print(table)
    if options.learn:
        show_learning()
    show_memory()


def ours(panel: Panel) -> list[Row]:
    """Returns the rows of our agents as shipped."""
    tape = Tape.from_panel(panel, random_states(panel, WIDTH), fill="next_open")
    one = tape.only(tape.assets[0])
    how = f"{N_ENVS} environments x {SHIPPED.n_steps}, batches of {SHIPPED.batch_size:,} x {SHIPPED.n_epochs} epochs"
    sac = replace(SAC(), learning_starts=256, buffer_size=100_000)
    return [
        (f"PPO, portfolio of {tape.n_assets}", how, rate(built(SHIPPED, tape, N_ENVS, PORTFOLIO), rollout(SHIPPED))),
        ("PPO, single stock", how, rate(built(SHIPPED, one, N_ENVS, SellHoldBuy()), rollout(SHIPPED))),
        (
            f"SAC, portfolio of {tape.n_assets}",
            "16 environments, 4 updates a step",
            rate(built(sac, tape, 16, PORTFOLIO), 1600),
        ),
        apg_row(),
    ]


def apg_row() -> Row:
    """Returns the row of APG on a panel of China's CSI 300's size, 66 channels an asset; one update is 640 steps."""
    panel = random_panel(500, 347)
    tape = Tape.from_panel(panel, random_states(panel, 62), fill="next_open")
    steps = APG_ENVS * GRADIENT.segment_days
    found = rate(built(GRADIENT, tape, APG_ENVS, Step(LongOnly(cash=False, bound=1, scale=8))), 5 * steps)
    how = f"{APG_ENVS} accounts x {GRADIENT.segment_days} days, {1e3 * steps / found:.0f} ms an update"
    return f"APG, portfolio of {tape.n_assets}", how, found


def peers(panel: Panel) -> list[Row]:
    """Returns the rows of stable-baselines3's defaults on our environments, and of FinRL's environment."""
    tape = Tape.from_panel(panel, random_states(panel, WIDTH), fill="next_open")
    one = tape.only(tape.assets[0])
    how = f"{SB3_ENVS} environments, SB3's defaults"
    steps = SB3_ENVS * 2048
    return [
        ("PPO, portfolio, our policy", how, rate(built(SB3_BATCH, tape, SB3_ENVS, PORTFOLIO), steps)),
        ("PPO, portfolio, MultiInputPolicy", f"{how}, full observations", rate(plain(tape, PORTFOLIO, "full"), steps)),
        ("PPO, single stock, our policy", how, rate(built(SB3_BATCH, one, SB3_ENVS, SellHoldBuy()), steps)),
        ("PPO, FinRL's StockTradingEnv", how, finrl_rate(panel)),
    ]


def rollout(agent: PPO) -> int:
    """Returns the steps between two updates."""
    return N_ENVS * agent.n_steps


def built(agent: Any, tape: Tape, n_envs: int, action: Action) -> BaseAlgorithm:
    """Returns an agent of ours on compact observations."""
    portfolio = tape.n_assets > 1
    env = vec_env(tape, n_envs, action, "compact")
    algorithm: BaseAlgorithm = agent.build(env, StateTable(tape), portfolio, 0, "cpu")
    return algorithm


def plain(tape: Tape, action: Action, view: View) -> BaseAlgorithm:
    """Returns stable-baselines3's own agent on our environment."""
    return SB3PPO("MultiInputPolicy", vec_env(tape, SB3_ENVS, action, view), device="cpu", seed=0)


def vec_env(tape: Tape, n_envs: int, action: Action, view: View) -> VecEnv:
    """Returns episodes of a year."""
    one_asset = tape.n_assets == 1
    market = BatchMarket(tape, n_envs, COSTS, action, observation=view, episodes=Episodes(252), one_asset=one_asset)
    return with_scaled_rewards(market, SHIPPED.gamma)


def rate(model: BaseAlgorithm, steps: int) -> float:
    """Returns environment steps per CPU-second of learning."""
    model.learn(steps)
    best = 0.0
    for _ in range(2):
        started = time.process_time()
        model.learn(steps)
        best = max(best, steps / (time.process_time() - started))
    return best


def finrl_rate(panel: Panel) -> float | None:
    """Returns the rate of FinRL's stock environment under stable-baselines3's defaults, None where not installed."""
    environment = finrl_environment()
    if environment is None:
        return None
    indicators = [f"i{k}" for k in range(8)]
    frame = finrl_frame(panel[:1000], indicators)
    names = len(panel.assets)
    width = 1 + 2 * names + len(indicators) * names

    def make() -> Any:
        return environment(
            df=frame,
            stock_dim=names,
            hmax=100,
            initial_amount=1_000_000,
            num_stock_shares=[0] * names,
            buy_cost_pct=[1e-3] * names,
            sell_cost_pct=[1e-3] * names,
            reward_scaling=1e-4,
            state_space=width,
            action_space=names,
            tech_indicator_list=indicators,
            print_verbosity=10**9,
        )

    makers: list[Callable[[], Any]] = [make] * SB3_ENVS
    return rate(SB3PPO("MlpPolicy", DummyVecEnv(makers), device="cpu", seed=0), 2048 * SB3_ENVS)


def finrl_environment() -> Any:
    """Returns FinRL's class from its own file, because its package imports brokers' libraries; None without it."""
    package = importlib.util.find_spec("finrl")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "meta" / "env_stock_trading" / "env_stocktrading.py"
    spec = importlib.util.spec_from_file_location("finrl_stock_trading", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.StockTradingEnv


def finrl_frame(panel: Panel, indicators: list[str]) -> pd.DataFrame:
    """Returns bars as FinRL takes them: rows of one day share an index."""
    days, names, _ = panel.shape
    columns: dict[str, Any] = {"date": np.repeat(panel.dates.astype(str), names), "tic": list(panel.assets) * days}
    columns |= {name: panel[name].ravel() for name in BARS}
    noise = np.random.default_rng(0).normal(size=(days * names, len(indicators)))
    columns |= {name: noise[:, k] for k, name in enumerate(indicators)}
    return pd.DataFrame(columns, index=np.repeat(np.arange(days), names))


def show_learning() -> None:
    """Prints growth on held-out days over the steps of training, for the shipped defaults and for SB3's."""
    train, valid = (planted_tape(*days) for days in ((0, 1200), (1200, 1500)))
    total, curves, took = 20 * SB3_ENVS * 2048, {}, {}
    gradient = replace(GRADIENT, risk_aversion=0.0, learning_rate=1e-2)
    candidates: tuple[tuple[str, AgentConfig, int], ...] = (
        ("shipped", SHIPPED, N_ENVS),
        ("SB3's batch and epochs", SB3_BATCH, SB3_ENVS),
        ("APG", gradient, APG_ENVS),
    )
    for name, agent, n_envs in candidates:
        task = Task(train, valid, PORTFOLIO, LogGrowth(), Costs(fee_rate=5e-4), 252, n_envs, True)
        with TemporaryDirectory() as folder:
            started = time.process_time()
            train_agent(agent, task, TrainingConfig(total, total // 10, None), 0, Path(folder), {})
            seconds = time.process_time() - started
            history = pd.read_json(Path(folder) / HISTORY, lines=True)
        curves[name], took[name] = dict(zip(history["step"], history["growth"], strict=True)), seconds
    heads = [f"{name} ({took[name]:.0f} s)" for name in curves]
    table = Table("steps", *heads, title="Log growth on held-out days at equal steps, one seed", title_justify="left")
    for step in range(total // 10, total + 1, total // 10):
        table.add_row(f"{step:,}", *(f"{at(curve, step):+.3f}" for curve in curves.values()))
    Console().print(table)
    show_reaching(curves, {name: seconds / total for name, seconds in took.items()})


def show_reaching(curves: dict[str, dict[int, float]], per_step: dict[str, float]) -> None:
    """Prints the steps and seconds after which each first had the growth that all of them reach."""
    common = min(max(curve.values()) for curve in curves.values())
    table = Table("agent", "steps", "CPU-seconds", title=f"Until a log growth of {common:+.3f}", title_justify="left")
    for name, curve in curves.items():
        step = min(step for step, growth in curve.items() if growth >= common)
        table.add_row(name, f"{step:,}", f"{per_step[name] * step:.1f}")
    Console().print(table)


def at(curve: dict[int, float], step: int) -> float:
    """Returns the growth at the validation nearest to a step; each algorithm validates where its updates end."""
    return curve[min(curve, key=lambda other: abs(other - step))]


def planted_tape(first: int, last: int) -> Tape:
    """Returns days of a market in which the first number of a state is tomorrow's expected return."""
    generator = np.random.default_rng(7)
    expected = generator.normal(0, 0.003, (1501, 10))
    moves = expected[:-1] + generator.normal(0, 0.015, (1500, 10))
    close = 100 * np.exp(np.concatenate([np.zeros((1, 10)), np.cumsum(moves, axis=0)]))
    panel = random_panel(1501, 10)
    panel = replace(panel, values=np.stack([close] * 4 + [panel["volume"]], axis=2))
    states = random_states(panel, 8)
    known = states.asset - 0.5
    known[:, :, 0] = expected / 0.003
    states = replace(states, asset=known, provenance={**states.provenance, "fill": "close"})
    dates = panel.dates.astype(str)
    return Tape.from_panel(panel, states, "close", dates[first], dates[last])


def show_memory() -> None:
    """Prints the memory of a million remembered steps."""
    panel = random_panel(300, 30)
    tape = Tape.from_panel(panel, random_states(panel, WIDTH), fill="next_open")
    model = built(replace(SAC(), buffer_size=1_000_000), tape, 16, PORTFOLIO)
    buffer = model.replay_buffer  # type: ignore[attr-defined]
    parts = [buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts]
    parts += [*buffer.observations.values(), *buffer.next_observations.values()]
    full = BatchMarket(tape, 1, action=PORTFOLIO, observation="full").reset()[0]
    assert isinstance(full, dict)
    wide = 2e6 * sum(part.nbytes for part in full.values())
    print(f"SAC, replay of 1,000,000 steps over 30 assets x {WIDTH}: {sum(part.nbytes for part in parts) / 1e9:.2f} GB")
    print(f"  with full observations it would be {wide / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
