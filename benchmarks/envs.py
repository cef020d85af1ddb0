"""Environment steps per CPU-second: ours beside gym-anytrading and gym-trading-env.

    python -m benchmarks envs [--panel PANEL.safetensors | BARS.parquet] [--episodes 1024] [--seconds 1] [--no-memory]

One core. Every row is the best of three measurements of CPU time after a warm-up; a step is one day of one episode.
Ours trades all assets with exact costs of ten basis points. The peers (`pip install -r benchmarks/requirements.txt`)
trade one asset, which is easier, and are left out where they are not installed. The last rows are memory: what 1,024
episodes over 500 assets x 4,000 days of 64-wide states add to the tape that they share, at the peak of a step.
"""

import importlib
import importlib.util
import platform
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.table import Table

from agents.vec_env import MarketVecEnv
from envs import BatchMarket, Costs, Episodes, LongOnly, SellHoldBuy, Tape
from envs.observations import View
from market.arrays import AnyArray
from market.panel import BARS, Panel
from market.states import PROVENANCE, MarketStates

COSTS = Costs(fee_rate=1e-3)
REPEATS = 3
WIDTH = 64
Row = tuple[str, str, float | None]


@dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    panel: Path | None = None
    """Panel file or Parquet of long bars; by default random bars of the Dow Jones 30's size."""
    episodes: int = 1024
    """Episodes in a batch."""
    seconds: float = 1.0
    """Seconds of each measurement."""
    memory: bool = True
    """Measure memory as well, which takes 2 GB of it."""


def main(argv: list[str] | None = None) -> None:
    """Prints the tables."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks envs")
    panel = random_panel(4027, 29) if options.panel is None else load(options.panel)
    rows = [*ours(panel, options), *peers(panel, options.seconds)]
    title = f"Steps per CPU-second, {len(panel.assets)} assets x {len(panel):,} days, {platform.machine()}"
    table = Table("environment", "what a step does", title=title, title_justify="left")
    table.add_column("steps/s", justify="right")
    table.add_column("times the first", justify="right")
    for name, what, rate in rows:
        ratio = "-" if rate is None else f"{rate / (rows[0][2] or 1):.3g}"
        table.add_row(name, what, "not installed" if rate is None else f"{rate:,.0f}", ratio)
    Console().print(table)
    if options.memory:
        show_memory(options.episodes)


def random_panel(days: int, assets: int) -> Panel:
    """Returns random bars of `assets` over `days`."""
    generator = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.015, (days, assets)), axis=0))
    open_ = close * np.exp(generator.normal(0, 0.005, (days, assets)))
    volume = generator.uniform(1e5, 1e7, (days, assets))
    values = np.stack([open_, np.maximum(open_, close), np.minimum(open_, close), close, volume], axis=2)
    dates = np.datetime64("2008-04-01", "D") + np.arange(days)
    everywhere = np.ones((days, assets), bool)
    return Panel(dates, tuple(f"A{n:03d}" for n in range(assets)), BARS, values, everywhere, everywhere)


def load(path: Path) -> Panel:
    """Returns the panel of a panel file, or of a Parquet file of long bars."""
    if path.suffix == ".safetensors":
        return Panel.load(path)
    frame = pd.read_parquet(path)
    return Panel.from_frame(frame[["date", "symbol", *BARS]])


def random_states(panel: Panel, width: int) -> MarketStates:
    """Returns random states, which cost as much to look at as real ones."""
    days, names, _ = panel.shape
    generator = np.random.default_rng(0)
    return MarketStates(
        dates=panel.dates,
        assets=panel.assets,
        asset=generator.random((days, names, width), dtype=np.float32),
        market=generator.random((days, width), dtype=np.float32),
        forecast_mean=np.zeros((days, names), np.float32),
        forecast_std=np.ones((days, names), np.float32),
        mask=panel.listed,
        fit_end=panel.dates[0],
        provenance=dict.fromkeys(PROVENANCE, "random") | {"audit": "passed", "fill": "next_open"},
    )


def rate(step: Callable[[int], object], steps: int, seconds: float) -> float:
    """Returns steps per CPU-second of `step`, which does `steps` at a time and is told how often it has been called."""
    for k in range(20):
        step(k)
    best, calls = 0.0, 0
    for _ in range(REPEATS):
        first, started, wall = calls, time.process_time(), time.perf_counter()
        while time.perf_counter() - wall < seconds:
            step(calls)
            calls += 1
        best = max(best, (calls - first) * steps / (time.process_time() - started))
    return best


def ours(panel: Panel, options: Options) -> list[Row]:
    """Returns the rows of our environments."""
    tape = Tape.from_panel(panel, random_states(panel, WIDTH), fill="next_open")
    n, seconds = options.episodes, options.seconds
    actions = np.random.default_rng(0).normal(size=(8, n, 1 + tape.n_assets)).astype(np.float32)
    whole, parts, full = Episodes(), Episodes(250), f"full observations, {tape.n_assets} x {WIDTH}"
    batch = f"BatchMarket, {n:,} episodes"
    rows: list[Row] = [
        (batch, "compact observations, all on one day", batch_rate(tape, actions, "compact", whole, seconds)),
        (batch, "compact observations, on random days", batch_rate(tape, actions, "compact", parts, seconds)),
        (batch, f"{full}, all on one day", batch_rate(tape, actions, "full", whole, seconds)),
        (batch, f"{full}, on random days", batch_rate(tape, actions, "full", parts, seconds)),
    ]
    vec_env = MarketVecEnv(BatchMarket(tape, n, COSTS, observation="compact", episodes=Episodes(250), seed=0))
    vec_env.reset()
    rows.append(("SB3 VecEnv", "compact observations", rate(lambda k: vec_env.step(actions[k & 7]), n, seconds)))
    venv = gymnasium.make_vec("FactorGym/Portfolio-v0", num_envs=n, tape=tape, costs=COSTS, observation="compact")
    venv.reset(seed=0)
    rows.append(("gymnasium.make_vec", "compact observations", rate(lambda k: venv.step(actions[k & 7]), n, seconds)))
    for observation in ("compact", "full"):
        kwargs = {"tape": tape, "costs": COSTS, "action": LongOnly(), "observation": observation}
        env = gymnasium.make("FactorGym/Portfolio-v0", **kwargs)
        rows.append(
            ("gymnasium.make, one episode", f"{observation} observations", one_rate(env, actions[:, 0], seconds))
        )
    single = gymnasium.make(
        "FactorGym/SingleStock-v0", tape=tape, asset=tape.assets[0], costs=COSTS, action=SellHoldBuy()
    )
    rows.append(
        ("gymnasium.make, one stock", "full observations", one_rate(single, np.array([0, 1, 2, 1] * 2), seconds))
    )
    return rows


def batch_rate(tape: Tape, actions: AnyArray, observation: View, episodes: Episodes, seconds: float) -> float:
    """Returns the rate of a batch, its resets included."""
    market = BatchMarket(tape, actions.shape[1], COSTS, observation=observation, episodes=episodes, seed=0)
    market.reset()
    return rate(lambda k: market.step(actions[k & 7]), actions.shape[1], seconds)


def one_rate(env: gymnasium.Env, actions: AnyArray, seconds: float) -> float:
    """Returns the rate of a single environment, its resets included."""
    env.reset(seed=0)

    def step(k: int) -> None:
        _, _, terminated, truncated, _ = env.step(actions[k & 7])
        if terminated or truncated:
            env.reset()

    return rate(step, 1, seconds)


def peers(panel: Panel, seconds: float) -> list[Row]:
    """Returns the rows of other people's environments, on the first asset of the panel."""
    columns = {name.capitalize(): panel[name][:, 0].astype(float) for name in BARS}
    bars = pd.DataFrame(columns, pd.DatetimeIndex(panel.dates))
    return [
        ("gym-anytrading", "one asset, no account", peer_rate("gym_anytrading", anytrading, bars, seconds)),
        ("gym-trading-env", "one asset, fees", peer_rate("gym_trading_env", trading_env, bars, seconds)),
    ]


def peer_rate(
    module: str, make: Callable[[pd.DataFrame], gymnasium.Env], bars: pd.DataFrame, seconds: float
) -> float | None:
    """Returns the rate of a peer, or None where it is not installed."""
    if importlib.util.find_spec(module) is None:
        return None
    return one_rate(make(bars), np.array([0, 1] * 4), seconds)


def anytrading(bars: pd.DataFrame) -> gymnasium.Env:
    """Returns gym-anytrading's stock environment with its smallest window."""
    stocks = importlib.import_module("gym_anytrading.envs").StocksEnv
    return stocks(df=bars, window_size=2, frame_bound=(2, len(bars)))


def trading_env(bars: pd.DataFrame) -> gymnasium.Env:
    """Returns gym-trading-env's environment with one feature."""
    environment = importlib.import_module("gym_trading_env.environments").TradingEnv
    frame = bars.rename(columns=str.lower).assign(feature_move=bars["Close"].pct_change().fillna(0.0))
    return environment(df=frame, positions=[0, 1], trading_fees=1e-3, verbose=0)


def show_memory(episodes: int) -> None:
    """Prints what episodes add to a large tape."""
    panel = random_panel(4000, 500)
    tape = Tape.from_panel(panel, random_states(panel, WIDTH), fill="next_open")
    table = Table("what", title="Memory, 500 assets x 4,000 days x 64 wide", title_justify="left")
    table.add_column("MB", justify="right")
    held = sum(getattr(tape, name).nbytes for name in ("before", "after", "price", "status", "frames", "market_frames"))
    table.add_row("the tape, shared by all episodes", f"{held / 1e6:,.0f}")
    for observation in ("compact", "full"):
        tracemalloc.start()
        market = BatchMarket(tape, episodes, COSTS, observation=observation, episodes=Episodes(250), seed=0)
        market.reset()
        market.step(np.zeros((episodes, 501), np.float32))
        table.add_row(
            f"{episodes:,} episodes, {observation} observations", f"{tracemalloc.get_traced_memory()[1] / 1e6:,.0f}"
        )
        tracemalloc.stop()
    Console().print(table)


if __name__ == "__main__":
    main()
