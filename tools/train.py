"""`python -m tools.train --config configs/trade/dj30_AAPL_storm_dual_ppo.py`: states to trained agents."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agents.cloning import demonstrate
from agents.training.loop import Task, train_agent
from configs.schema.trade import Trade
from configs.values import to_data
from envs import Excess
from envs.rewards import Reward
from market.storage.array_file import write_json
from tools.cli import configured, run
from tools.runs.directory import claimed, opened
from tools.runs.markets import read, tape_of

RESULT = "training.json"
RULE = "rule"


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a run that is already there, finished or not."""
    device: str = "cpu"
    """Device of the networks; they are small, so a graphics card seldom helps."""
    threads: int = 1
    """Threads of one training; more than one changes the last bits of results and seldom helps."""


def main(argv: Sequence[str]) -> None:
    """Trains one agent for each seed; an interrupted run continues."""
    experiment, options = configured(Trade, Options, argv, "configs/trade")
    torch.set_num_threads(options.threads)
    folder = Path(options.workdir) / "trade" / experiment.name
    show(train(experiment, folder, options.overwrite, options.device), folder)


def train(experiment: Trade, folder: Path, overwrite: bool = False, device: str = "cpu") -> list[dict[str, Any]]:
    """Trains the run in `folder`, or continues it, and returns the record of each seed."""
    with claimed(folder):
        task = task_of(experiment)
        opened(folder, experiment, RESULT, overwrite)
        records = [learn(experiment, task, seed, folder, device) for seed in experiment.seeds]
        write_json(folder / RESULT, {"seeds": {str(record["seed"]): summary(record) for record in records}})
    return records


def task_of(experiment: Trade) -> Task:
    """Returns what is traded, from the train and valid days alone."""
    sources = read(experiment)
    tapes = {part: tape_of(experiment, sources, part) for part in ("train", "valid")}
    shown = None
    if experiment.start_from is not None:
        rule, known = experiment.start_from, (sources.panel, sources.states, experiment.costs)
        paths = {part: demonstrate(rule, tape, *known) for part, tape in tapes.items()}
        tapes = {part: tape.with_benchmark(RULE, paths[part].returns) for part, tape in tapes.items()}
        shown = paths["train"]
    return Task(
        train=tapes["train"],
        valid=tapes["valid"],
        action=experiment.action,
        reward=reward_of(experiment),
        costs=experiment.costs,
        episode_days=experiment.episode_days,
        n_envs=experiment.n_envs,
        portfolio=experiment.asset is None,
        rebalance=experiment.rebalance,
        start_from=shown,
        clone_steps=experiment.clone_steps,
    )


def reward_of(experiment: Trade) -> Reward:
    """Returns the reward: of an agent that begins at a rule, the excess over it unless another excess is named."""
    if experiment.start_from is None or isinstance(experiment.reward, Excess):
        return experiment.reward
    return Excess(RULE)


def seed_folder(folder: Path, seed: int) -> Path:
    """Returns the folder of one seed within that of a run."""
    return folder / f"seed_{seed}"


def learn(experiment: Trade, task: Task, seed: int, folder: Path, device: str) -> dict[str, Any]:
    """Trains the agent of one seed, or continues or finds it, and returns its record."""
    settings = to_data(experiment)
    return train_agent(experiment.agent, task, experiment.schedule, seed, seed_folder(folder, seed), settings, device)


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """Returns what the run's own file says of a seed."""
    return {**record["valid"], "n_steps": record["n_steps"], "n_validations": record["n_validations"]}


def show(records: Sequence[dict[str, Any]], folder: Path) -> None:
    """Prints the best policy of each seed on the valid days."""
    table = Table(title=f"{folder}: the best policy of each seed on the valid days")
    for column in ("seed", "steps", "best at", "wealth", "benchmark", "turnover a day"):
        table.add_column(column, justify="right")
    for record in records:
        valid = record["valid"]
        wealth, benchmark = (f"{math.exp(valid[name]):.3f}" for name in ("growth", "benchmark_growth"))
        steps = (f"{record['n_steps']:,}", f"{valid['step']:,}")
        table.add_row(str(record["seed"]), *steps, wealth, benchmark, f"{valid['turnover']:.2%}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
