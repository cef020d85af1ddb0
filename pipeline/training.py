"""The stage that trains agents: states, features or nothing to one policy a seed, chosen on the valid days."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from agents.checkpoint import RECORD
from agents.training.callbacks import ShouldStop, worth
from agents.training.cloning import demonstrate
from agents.training.loop import Task, finished_record, train_agent
from configs.paths import located
from configs.schema.trade import Trade
from configs.values import to_data, upgraded
from envs import Excess
from envs.rewards import Reward
from market.artifacts import HISTORY, TRAINING
from market.storage.array_file import read_json, write_json
from pipeline.control_markets import question_of, read_sources, tape_of
from pipeline.observation import write_observation
from pipeline.results import SILENT, Observer, TrainResult
from pipeline.run_directory import begin, is_finished, lock, seed_folder, trade_folder
from pipeline.trackers import tracked

RULE = "rule"
"""Name of the benchmark that is the rule which an agent begins at."""


def train(
    experiment: Trade,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    reuse: bool = False,
    device: str = "cpu",
    threads: int = 1,
    observer: Observer = SILENT,
    trackers: Sequence[str] = (),
) -> TrainResult:
    """Trains one agent for each seed in ``workdir/trade/<name>/``; an interrupted run continues where it stopped.

    Args:
        experiment: What decides the run.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away a run that is already there, finished or not.
        reuse: Return a finished run of this very experiment instead of refusing to run it again.
        device: Device of the networks; they are small, so a graphics card seldom helps.
        threads: Threads of torch; more than one changes the last bits of results and seldom helps.
        observer: Follows from outside.
        trackers: Trackers that show each agent beside TensorBoard (`pipeline.trackers`).

    Raises:
        ValueError: Another process works on the run, it is finished and neither to be overwritten nor reused, it was
            started with another configuration, or its states have not passed the audit.
    """
    experiment = located(experiment, workdir)
    folder = trade_folder(workdir, experiment.name)
    if reuse and not overwrite and is_finished(folder, experiment, TRAINING):
        result = TrainResult(folder, (), fresh=False)
    else:
        with lock(folder), torch_threads(threads):
            result = TrainResult(folder, _learn(experiment, folder, overwrite, device, trackers))
    observer.finished(result)
    return result


def begin_training(experiment: Trade, workdir: str | Path = "workdir", reuse: bool = False) -> None:
    """Makes the folder of a run ready, so that its seeds may be trained by several processes (`train_seed`).

    Args:
        experiment: What decides the run.
        workdir: Where the artifacts of all stages live.
        reuse: Leave a finished run of this very experiment alone instead of refusing to run it again.

    Raises:
        ValueError: As `train` does.
    """
    experiment = located(experiment, workdir)
    folder = trade_folder(workdir, experiment.name)
    if not (reuse and is_finished(folder, experiment, TRAINING)):
        with lock(folder):
            _begin(experiment, folder, overwrite=False)


def train_seed(
    experiment: Trade,
    seed: int,
    workdir: str | Path = "workdir",
    device: str = "cpu",
    threads: int = 1,
    trackers: Sequence[str] = (),
) -> None:
    """Trains one agent of a run that was begun; an interrupted one continues, a finished one is left alone.

    `train` afterwards finds it finished.

    Raises:
        ValueError: As `train` does.
    """
    experiment = located(experiment, workdir)
    folder = seed_folder(trade_folder(workdir, experiment.name), seed)
    with lock(folder), torch_threads(threads):
        if finished_record(folder) is None:
            _train_seed(experiment, task_of(experiment), seed, folder, device, trackers=trackers)


def learn_seeds(experiment: Trade, folder: Path, should_stop: ShouldStop) -> None:
    """Trains the agents of a run in a folder of its own, as trials of a search do, and sums them up.

    Once the first agent is enough to know the run by, the others are not begun; the summary then has one seed.

    Args:
        experiment: What decides the run, with paths that lead to files.
        folder: Where it goes; held by this process and begun.
        should_stop: Asked after each validation of the first agent whether those were enough.
    """
    write_observation(experiment, read_sources(experiment), folder)
    task = task_of(experiment)
    records: list[dict[str, Any]] = []
    with torch_threads(1):
        for seed in experiment.seeds:
            first = should_stop if not records else None
            records.append(_train_seed(experiment, task, seed, seed_folder(folder, seed), "cpu", first))
            if first is not None and first(validations(seed_folder(folder, seed))):
                break
    _write_summary(records, folder)


def validations(folder: Path) -> list[float]:
    """Returns the worth of every validation of the agent in the folder of a seed."""
    lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    return [worth(json.loads(line)) for line in lines]


def task_of(experiment: Trade) -> Task:
    """Returns what is traded, from the train and valid days alone."""
    sources = read_sources(experiment)
    tapes = {part: tape_of(experiment, sources, part) for part in ("train", "valid")}
    shown = None
    if experiment.start_from is not None:
        rule, known = experiment.start_from, (sources.panel, sources.states, experiment.costs)
        if rule.k > tapes["train"].n_assets:
            raise ValueError(
                f"start_from: k is {rule.k}, but {experiment.panel} has {tapes['train'].n_assets} assets; hold fewer "
                "(--start-from.k)"
            )
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
        in_sample=experiment.in_sample,
    )


def reward_of(experiment: Trade) -> Reward:
    """Returns the reward: of an agent that begins at a rule, the excess over it unless another excess is named."""
    if experiment.start_from is None or isinstance(experiment.reward, Excess):
        return experiment.reward
    return Excess(RULE)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets torch use `count` threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _learn(
    experiment: Trade, folder: Path, overwrite: bool, device: str, trackers: Sequence[str]
) -> list[dict[str, Any]]:
    folders = {seed: seed_folder(folder, seed) for seed in experiment.seeds}
    left = [one for one in folders.values() if overwrite or finished_record(one) is None]
    task = task_of(experiment) if left else None
    _begin(experiment, folder, overwrite)
    records = [
        read_json(one / RECORD) if task is None else _train_seed(experiment, task, seed, one, device, trackers=trackers)
        for seed, one in folders.items()
    ]
    _write_summary(records, folder)
    return records


def _write_summary(records: Sequence[dict[str, Any]], folder: Path) -> None:
    write_json(folder / TRAINING, {"seeds": {str(record["seed"]): _summary(record) for record in records}})


def _begin(experiment: Trade, folder: Path, overwrite: bool) -> None:
    begin(folder, experiment, TRAINING, overwrite)
    write_observation(experiment, read_sources(experiment), folder)
    question_of(experiment).enter("train", "valid", folder.name, to_data(experiment), experiment.seeds)


def _train_seed(
    experiment: Trade,
    task: Task,
    seed: int,
    folder: Path,
    device: str,
    should_stop: ShouldStop | None = None,
    trackers: Sequence[str] = (),
) -> dict[str, Any]:
    if (record := finished_record(folder)) is not None:
        return record
    how = (to_data(experiment), device, upgraded, should_stop)
    with tracked(trackers, folder, f"train {experiment.name} seed {seed}") as curves:
        return train_agent(experiment.agent, task, experiment.schedule, seed, folder, *how, curves)


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    """Returns what the run's own file says of a seed."""
    return {**record["valid"], "n_steps": record["n_steps"], "n_validations": record["n_validations"]}
