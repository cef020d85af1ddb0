"""Agents on a market whose best policy is known, beside oracles that know tomorrow's expected returns.

    python -m benchmarks known_market [--costs 0 0.0005 0.002] [--seeds 0 1 2 3 4] [--observe forecast states]
                                      [--ppo] [--shuffled 20] [--out FILE]

Returns have three factors. What each factor pays is constant, but the exposures of the assets to them drift, one factor
within days, one within weeks, one within months. Nobody but the oracles knows what they pay. With ``--observe
forecast`` agents see what the pipeline shows them: the forecast of an encoder, here a ridge regression on the exposures
and on channels of noise, fitted on ten years before the train days and frozen. With ``states`` they see the exposures
and the noise and have to learn from their own rewards what these pay.

Everybody is judged by what the agents maximise, net of costs (`APG` by itself, `PPO` by its reward): mean log growth
less half the risk aversion times the variance of the excess over equal weight. Because the truth is known,
expectations of what was held are taken instead of what happened, so that ten years of luck do not decide.

Without costs the best policy holds every day the portfolio that is worth most. With costs the oracles go towards that
portfolio by a fraction of the way and leave small differences alone; the share is that of the best of the grid *on the
test days*, which no agent may know. Agents are chosen on valid days, by what happened there. Each seed is a market and
an agent. `--shuffled` counts how often agents that learn on forecasts of other days are told that their result is
supported (`evaluation.verdict`), and how much they trade.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from agents.algorithms.apg import APG
from agents.algorithms.base import AgentConfig
from agents.algorithms.on_policy import PPO
from agents.checkpoint import TrainedAgent, load_agent
from agents.training.callbacks import TrainingConfig
from agents.training.loop import Task, train_agent
from agents.training.validation import trace_episode
from envs import BatchMarket, Costs, Episodes, Excess, LongOnly, Step, Tape
from envs.observables import Observed
from evaluation.policy_comparison import PolicyComparison, measured
from evaluation.rollout import rollout
from evaluation.verdict import reach_verdict
from market.arrays import AnyFloatArray, FeatureArray, FloatArray
from market.panel import BARS, Panel
from market.states import PROVENANCE, MarketStates
from market.storage.array_file import write_json
from pipeline.control_markets import shuffle_states
from pipeline.known_optimum import BANDS, FRACTIONS, trade_towards
from pipeline.reference_policies import EvaluationMarket, classical_backtests, reference_rules

HALF_LIVES = (5.0, 20.0, 80.0)
"""Days in which what a drifting exposure was says half as much of what it is."""

PREMIA = np.array([0.001, 0.001, 0.001])
"""Pay of a unit of exposure a day: the correlation of the best forecast with what comes is about .08."""

FACTOR_VOLATILITY, OWN_VOLATILITY = 0.004, 0.02
RISK_AVERSION = 10.0
"""Price of a unit of variance, the default of `APG`."""

PARTS = {"fit": 2520, "train": 2520, "valid": 2520, "test": 2520}
"""Days, ten years each; on those of ``fit`` the encoder learns, and nobody trades."""

TRADED = ("train", "valid", "test")

RIDGE = 1e-3
"""Penalty of the regression, per observation; the exposures have unit variance."""

YEAR = 252


class KnownMarket(NamedTuple):
    """A market and the truth behind it.

    Attributes:
        panel: Bars of T days and N assets.
        states: The exposures and channels of noise, as an encoder would hand them over.
        exposures: ``[T, N, K]`` of the assets to the factors.
    """

    panel: Panel
    states: MarketStates
    exposures: FloatArray

    def tape(self, part: str, observe: Observed = "states") -> Tape:
        """Returns the tape of one part; each one's last close is the next one's first day."""
        dates, rows = self.panel.dates.astype(str), _rows(part)
        days = (dates[rows.start], dates[rows.stop - 1])
        return Tape.from_panel(self.panel, self.states, "close", *days, observe=observe)

    def best(self, part: str) -> FloatArray:
        """Returns the portfolio ``[T, 1 + N]`` that is worth most on the next day, cash first."""
        return best_weights(self.exposures[_rows(part)])

    def worth(self, part: str, weights: FloatArray) -> FloatArray:
        """Returns what weights ``[T - 1, ..., 1 + N]`` are worth, held from day to day: ``[T - 1, ...]``.

        The expected log growth less half of `RISK_AVERSION` times the variance of the excess over equal weight.
        """
        exposures, assets = self.exposures[_rows(part)][:-1], weights[..., 1:]
        factors = np.einsum("t...n,tnk->t...k", assets, exposures)
        common = FACTOR_VOLATILITY**2 * np.square(factors).sum(-1)  # equal weight has none: exposures are centred
        own, off = (np.square(one).sum(-1) for one in (assets, assets - 1 / assets.shape[-1]))
        risk = common + OWN_VOLATILITY**2 * own + RISK_AVERSION * (common + OWN_VOLATILITY**2 * off)
        worth: FloatArray = factors @ PREMIA - risk / 2
        return worth


def _rows(part: str) -> slice:
    names = list(PARTS)
    first = sum(PARTS[one] for one in names[: names.index(part)])
    return slice(first, first + PARTS[part] + 1)


def known_market(seed: int, assets: int = 20, noise: int = 5) -> KnownMarket:
    """Returns a market with drifting exposures."""
    rng = np.random.default_rng(seed)
    days = sum(PARTS.values()) + 1
    exposures = _drifting(rng, days, assets)
    factors = PREMIA + FACTOR_VOLATILITY * rng.normal(size=(days, len(PREMIA)))
    own = OWN_VOLATILITY * rng.normal(size=(days, assets))
    returns = np.einsum("tnk,tk->tn", exposures[:-1], factors[:-1]) + own[:-1]
    close = 100 * np.cumprod(np.concatenate([np.ones((1, assets)), 1 + returns]), axis=0)
    values = np.stack([close] * 4 + [np.full_like(close, 1e6)], axis=2)
    dates = np.datetime64("1990-01-01", "D") + np.arange(days)
    everywhere = np.ones(close.shape, np.bool_)
    panel = Panel(dates, tuple(f"A{n:02d}" for n in range(assets)), BARS, values, everywhere, everywhere)
    seen = np.concatenate([exposures, rng.normal(size=(days, assets, noise))], axis=2).astype(np.float32)
    return KnownMarket(panel, _states(panel, seen), exposures)


def _drifting(rng: np.random.Generator, days: int, assets: int) -> FloatArray:
    """Returns exposures ``[T, N, K]`` of unit variance, whose mean over the assets of a day is 0."""
    decay = 0.5 ** (1 / np.array(HALF_LIVES))
    shocks = rng.normal(size=(days, assets, len(decay)))
    exposures = shocks.copy()
    for day in range(1, days):
        exposures[day] = decay * exposures[day - 1] + np.sqrt(1 - decay**2) * shocks[day]
    centred: FloatArray = exposures - exposures.mean(axis=1, keepdims=True)
    return centred


def _forecast(panel: Panel, seen: AnyFloatArray) -> FeatureArray:
    """Returns the forecast ``[T, N]`` of a ridge regression of returns on channels, both about their mean of the day.

    It knows the closes of the days of ``fit`` and no later one.
    """
    known = PARTS["fit"]
    close, channels = panel["close"][:known], seen - seen.mean(axis=1, keepdims=True)
    returns = close[1:] / close[:-1] - 1
    returns -= returns.mean(axis=1, keepdims=True)
    x = channels[: known - 1].reshape(-1, channels.shape[2]).astype(np.float64)
    penalty = RIDGE * len(x) * np.eye(x.shape[1])
    pays = np.linalg.solve(x.T @ x + penalty, x.T @ returns.ravel())
    return (channels @ pays).astype(np.float32)


def _states(panel: Panel, seen: AnyFloatArray) -> MarketStates:
    days, names, _ = panel.shape
    facts = dict.fromkeys(PROVENANCE, "known") | {"audit": "passed", "fill": "close", "horizon": 1}
    return MarketStates(
        dates=panel.dates,
        assets=panel.assets,
        asset=seen,
        market=np.zeros((days, 1), np.float32),
        forecast_mean=_forecast(panel, seen),
        forecast_std=np.full((days, names), OWN_VOLATILITY, np.float32),
        mask=panel.listed,
        fit_end=panel.dates[PARTS["fit"] - 1],
        provenance=facts,
    )


def best_weights(exposures: FloatArray, rounds: int = 200) -> FloatArray:
    """Returns the long-only weights ``[T, 1 + N]`` that are worth most, see `KnownMarket.worth`.

    By projected gradients with Nesterov's momentum on the simplex of cash and assets.
    """
    days, names, _ = exposures.shape
    mean = np.concatenate([np.zeros((days, 1)), exposures @ PREMIA + RISK_AVERSION * OWN_VOLATILITY**2 / names], axis=1)
    loads = np.concatenate([np.zeros((days, 1, len(PREMIA))), exposures], axis=1) * FACTOR_VOLATILITY
    own = np.concatenate([[0.0], np.full(names, OWN_VOLATILITY**2)])
    rate = 1.0 / (OWN_VOLATILITY**2 + FACTOR_VOLATILITY**2 * np.square(exposures).sum((1, 2)).max())
    rate /= 1 + RISK_AVERSION
    weights = np.full(mean.shape, 1 / (1 + names))
    ahead, speed = weights, 1.0
    for _ in range(rounds):
        risk = own * ahead + np.einsum("tnk,tk->tn", loads, np.einsum("tmk,tm->tk", loads, ahead))
        moved = _on_simplex(ahead + rate * (mean - (1 + RISK_AVERSION) * risk))
        faster = (1 + np.sqrt(1 + 4 * speed**2)) / 2
        ahead = moved + (speed - 1) / faster * (moved - weights)
        weights, speed = moved, faster
    return weights


def _on_simplex(points: FloatArray) -> FloatArray:
    """Returns the nearest rows that are at least 0 and sum to 1."""
    ordered = -np.sort(-points, axis=1)
    excess = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    last = (ordered > excess).sum(axis=1) - 1
    nearest: FloatArray = np.maximum(points - excess[np.arange(len(points)), last][:, None], 0.0)
    return nearest


GRADIENT = APG(
    learning_rate=1e-2,
    account_rate=10.0,
    risk_aversion=RISK_AVERSION,
    accounts_per_path=2,
    averaging=0.95,
    width=1,
)
SAMPLED = PPO(learning_rate=3e-3, n_steps=32, batch_size=4096, n_epochs=4, gamma=0.97, log_std_init=-1.0)
ACTION = Step(LongOnly(bound=1, scale=8))
SCHEDULES = {
    "APG": TrainingConfig(total_steps=307_200, validate_every=102_400, patience=None, least_lead=3.0),
    "PPO": TrainingConfig(total_steps=1_500_000, validate_every=500_000, patience=None, least_lead=3.0),
}
"""Few looks at the valid days, because luck chooses an early checkpoint from many; and a policy that trades is kept
only where it is three standard errors ahead of the fresh one, which hardly does: on noise one in 500 is."""

N_ENVS = {"APG": 128, "PPO": 128}


class Outcome(NamedTuple):
    """Result of an agent on the test days.

    Attributes:
        worth: What it was worth a year, see `KnownMarket.worth`, less what its trades cost.
        turnover: One-way, a day.
        seconds: CPU-seconds of the training, looks at the valid days included.
    """

    worth: float
    turnover: float
    seconds: float


def trained(
    agent: AgentConfig,
    known: KnownMarket,
    costs: Costs,
    seed: int,
    schedule: TrainingConfig,
    observe: Observed = "forecast",
) -> Outcome:
    """Returns what an agent that learns on the train days, and is chosen on the valid ones, earns on the test days."""
    tapes = [known.tape(part, observe) for part in TRADED]
    policy, seconds = _learnt(agent, tapes, costs, seed, schedule)
    test = tapes[-1]
    path = trace_episode(policy, BatchMarket(test, 1, costs, ACTION, Excess(), "compact", Episodes(), autoreset=False))
    happened = np.log1p((path.weights[:, 1:] * test.after[:-1]).sum(axis=1))
    paid = np.diff(np.log(path.wealth)) - happened
    worth = YEAR * float((known.worth("test", path.weights) + paid).mean())
    return Outcome(worth, float(path.turnover.mean()), seconds)


def _learnt(
    agent: AgentConfig, tapes: Sequence[Tape], costs: Costs, seed: int, schedule: TrainingConfig
) -> tuple[TrainedAgent, float]:
    """Returns the policy that was chosen, and the CPU-seconds that it took."""
    train, valid, test = tapes
    task = Task(
        train, valid, ACTION, Excess(risk_aversion=RISK_AVERSION), costs, 120, N_ENVS[type(agent).__name__], True
    )
    with TemporaryDirectory() as folder:
        started = time.process_time()
        train_agent(agent, task, schedule, seed, Path(folder), {})
        seconds = time.process_time() - started
        market = BatchMarket(test, 1, costs, ACTION, Excess(), "compact", Episodes(), autoreset=False)
        return load_agent(folder, agent, market), seconds


def shuffled(seed: int, costs: Costs) -> tuple[str, float]:
    """Returns the verdict on an agent that learns and trades on forecasts of other days, and its turnover a day."""
    known = known_market(seed)
    tapes = [shuffle_states(known.tape(part, "forecast"), seed + k) for k, part in enumerate(TRADED)]
    test = tapes[-1]
    policy, _ = _learnt(GRADIENT, tapes, costs, seed, SCHEDULES["APG"])
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=test, costs=costs, action=ACTION, observation="compact")
    path = rollout(policy, env, name="agent")
    market = EvaluationMarket(test, known.panel, None, costs)
    comparison = PolicyComparison({"agent": (path,)}, tuple(classical_backtests(market, reference_rules(market))))
    return reach_verdict(measured(comparison), "agent").word, float(path.turnover.mean())


@dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    costs: tuple[float, ...] = (0.0, 5e-4, 2e-3)
    """Proportional costs of a trade."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Markets, and the agents on them."""
    observe: tuple[Literal["forecast", "states", "states+forecast"], ...] = ("forecast",)
    """Observations of the agents, each of which is measured."""
    ppo: bool = False
    """Measure PPO too, which takes ten times as long."""
    shuffled: int = 0
    """Seeds of the control on forecasts of other days, at the second of the costs, or the only one."""
    out: Path | None = None
    """File that receives the figures as JSON."""


def main(argv: list[str] | None = None) -> None:
    """Prints the tables."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks known_market")
    torch.set_num_threads(1)
    agents: dict[str, AgentConfig] = {"APG": GRADIENT} | ({"PPO": SAMPLED} if options.ppo else {})
    asked = [(costs, seed) for costs in options.costs for seed in options.seeds]
    rows = [row for costs, seed in asked for row in _measure(agents, options.observe, costs, seed)]
    if options.out is not None:
        write_json(options.out, {"rows": rows})
    table = Table("costs", "seed", "who", "worth a year", "of the best oracle", "turnover a day", "CPU-seconds")
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        worth = (f"{row['worth']:.1%}", f"{row['share']:.0%}", f"{row['turnover']:.1%}", seconds)
        table.add_row(f"{1e4 * row['costs']:g} bp", str(row["seed"]), row["who"], *worth)
    Console(width=120).print(table)
    if options.shuffled:
        found = [
            shuffled(seed, Costs(fee_rate=options.costs[min(1, len(options.costs) - 1)]))
            for seed in range(options.shuffled)
        ]
        supported, turnovers = sum(word == "supported" for word, _ in found), [turnover for _, turnover in found]
        print(f"shuffled, {len(found)} seeds: {supported} supported; turnover a day {max(turnovers):.2%} at most")


def _measure(
    agents: Mapping[str, AgentConfig], observe: Sequence[Observed], costs: float, seed: int
) -> list[dict[str, Any]]:
    known, terms = known_market(seed), Costs(fee_rate=costs)
    paths = trade_towards(known.tape("test"), known.best("test"), terms)
    grid = YEAR * (known.worth("test", paths.weights) + paths.log_cost).mean(axis=0)
    f, b = np.unravel_index(grid.argmax(), grid.shape)
    best = float(grid[f, b])
    about = {"costs": costs, "seed": seed}
    moved = np.abs(np.diff(paths.weights[:, f, b], axis=0)).sum(1).mean() / 2
    oracle = f"oracle: {FRACTIONS[f]:g} of the way, band {BANDS[b]:g}"
    rows = [{**about, "who": oracle, "worth": best, "share": 1.0, "turnover": float(moved), "seconds": None}]
    for name, agent in agents.items():
        for seen in observe:
            found = trained(agent, known, terms, seed, SCHEDULES[name], seen)
            rows.append({**about, "who": f"{name} on {seen}", "share": found.worth / best, **found._asdict()})
    return rows


if __name__ == "__main__":
    main()
