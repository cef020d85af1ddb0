"""The stage that searches hyper-parameters: the values with the best metric on the valid days.

Every trial is an ordinary run of an encoder or of agents, of which the test days are cut off before anything is
computed. Its values are a function of the sweep's seed, of its own number and of the results of trials before it: of
all random ones and of those that are at least `Sweep.parallel` earlier. So a sweep that was killed and continued, or
whose trials ran on many machines, tries what one process would have tried.

The values come from a tree-structured Parzen estimator, as implemented by Optuna. Reference: Bergstra et al. (2011),
Algorithms for Hyper-Parameter Optimization.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from configs import files
from configs.paths import located
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep, Uniform
from configs.values import with_fields
from market.artifacts import OLD_TRIALS, SWEEP, TRIALS
from market.storage.array_file import write_json
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job
from pipeline.results import SILENT, Observer, SweepResult
from pipeline.run_directory import begin, lock, sweep_folder
from pipeline.trials import TrialJob, report, trial_end
from pipeline.trials import known_panel as known_panel

BEST = "best"
STATE_NAMES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}
GROWTH = "growth"
"""Measure that ranks trials of agents: log growth of wealth on the valid days, or the objective of the reward."""

logger = logging.getLogger(__name__)


def sweep(
    experiment: Sweep,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> SweepResult:
    """Runs one search in ``workdir/sweep/<name>/``; an interrupted one continues in the middle of its trials.

    Args:
        experiment: What is varied, and how.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away a search that is already there, finished or not.
        observer: Follows from outside.
        engine: Where trials run; the first, random ones all at once, later ones `Sweep.parallel` at a time.

    Raises:
        ValueError: Another process works on the folder, the search is finished or was started with another
            configuration, or no trial had a metric.
    """
    experiment = located(experiment, workdir)
    folder = sweep_folder(workdir, experiment.name)
    with lock(folder):
        begin(folder, experiment, SWEEP, overwrite)
        summary = search(experiment, folder, workdir, observer, engine)
        write_json(folder / SWEEP, summary)
    result = SweepResult(folder, summary)
    observer.finished(result)
    return result


def search(
    sweep: Sweep,
    folder: Path,
    workdir: str | Path = "workdir",
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> dict[str, Any]:
    """Runs the trials that are not done yet, writes the winner's config into ``best/``, and returns the summary.

    Raises:
        ValueError: No trial had a metric.
    """
    storage = open_storage(folder, sweep.name)
    study = optuna.create_study(storage=storage, study_name=sweep.name, direction="maximize", load_if_exists=True)
    done = {one.number for one in study.trials if one.state.is_finished()}

    def begun(job: Job) -> Job:
        assert isinstance(job, TrialJob)
        trial = continued(study, storage, sweep, job.number)
        peers = tuple(visible(study.trials, sweep, job.number))
        return replace(job, params=tuple(trial.params.items()), peers=peers)

    def ended(job: Job, fault: str | None) -> None:
        assert isinstance(job, TrialJob)
        trial = continued(study, storage, sweep, job.number)
        conclude(trial, job, fault)
        _log(study.trials[job.number], fault)

    execute(trial_jobs(sweep, folder, workdir, done), engine, observer, begun, ended)
    ranked = [one for one in study.trials if one.state == TrialState.COMPLETE]
    if not ranked:
        raise ValueError(
            f"{folder}: none of {sweep.trials} trials had a metric; see their folders, and mend the config"
        )
    return _summary(sweep, study.trials, max(ranked, key=lambda one: (one.value, -one.number)), folder)


def trial_jobs(sweep: Sweep, folder: Path, workdir: str | Path, done: set[int]) -> list[Job]:
    """Returns the trials that are left, each after those whose results decide its values."""
    jobs: list[Job] = []
    for number in range(sweep.trials):
        earlier = [one for one in range(number) if one in _deciding(sweep, number) and one not in done]
        if number not in done:
            after = tuple(f"trial {one}" for one in earlier)
            jobs.append(TrialJob(f"trial {number}", str(workdir), sweep, str(folder), number, after=after))
    return jobs


def _deciding(sweep: Sweep, number: int) -> range:
    """Returns the numbers of the trials that decide the values of a trial, and that it is measured against."""
    if number < sweep.random_trials:
        return range(0)
    return range(max(sweep.random_trials, number - sweep.parallel + 1))


def visible(trials: Sequence[FrozenTrial], sweep: Sweep, number: int) -> list[FrozenTrial]:
    """Returns the trials that a trial may know of."""
    return [one for one in trials if one.number in _deciding(sweep, number)]


class TrialJournal(JournalFileBackend):
    """The record of the trials, a line for each thing that happened to one.

    A line that was written in part, because the disk was full or the process was killed, is taken back: the record goes
    on after the last whole one. Only the process that holds the lock of the search may open it.

    Args:
        path: File of the record.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._take_back()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes lines; an error names the file, and nothing of the last line stays."""
        try:
            super().append_logs(logs)
        except OSError as error:
            self._take_back()
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def _take_back(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, whole)


def open_storage(folder: Path, name: str) -> BaseStorage:
    """Returns the record of the trials; what an earlier version recorded is taken over."""
    fresh, old = not (folder / TRIALS).exists(), folder / OLD_TRIALS
    storage = JournalStorage(TrialJournal(str(folder / TRIALS)))
    if fresh and old.exists():
        optuna.copy_study(from_study_name=name, from_storage=f"sqlite:///{old}", to_storage=storage)
    return storage


def continued(study: optuna.Study, storage: BaseStorage, sweep: Sweep, number: int) -> Trial:
    """Returns a trial with its values: one that was begun, by whichever process, or else a new one."""
    own = storage.get_study_id_from_name(study.study_name)
    trials = study.trials
    if number == len(trials):
        drawn = draw(sweep, number, visible(trials, sweep, number))
        storage.create_new_trial(own, template_trial=drawn)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(own, number))


def draw(sweep: Sweep, number: int, known: Sequence[FrozenTrial]) -> FrozenTrial:
    """Returns the values of a trial: a function of the sweep's seed, its number and the trials that it may know of."""
    seed = int(np.random.SeedSequence((sweep.seed, number)).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(n_startup_trials=sweep.random_trials, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(known)
    trial = study.ask()
    for one in sweep.dimensions:
        suggest(trial, one)
    return create_trial(state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions)


def suggest(trial: Trial, one: Choice | Integer | Uniform | LogUniform) -> None:
    """Draws the value of a dimension."""
    if isinstance(one, Choice):
        trial.suggest_categorical(one.field, one.values)
    elif isinstance(one, Integer):
        trial.suggest_int(one.field, one.low, one.high, step=one.step)
    else:
        trial.suggest_float(one.field, one.low, one.high, log=isinstance(one, LogUniform))


def conclude(trial: Trial, job: TrialJob, fault: str | None) -> None:
    """Tells the study how a trial went."""
    if fault is not None:
        trial.set_user_attr("fault", fault)
        trial.study.tell(trial, state=TrialState.FAIL)
        return
    end = trial_end(job)
    report(trial, end.values)
    trial.set_user_attr("epochs", len(end.values))
    if end.value is None:
        trial.study.tell(trial, state=TrialState.FAIL)
    elif end.stopped:
        trial.study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.study.tell(trial, end.value)


def _summary(sweep: Sweep, trials: Sequence[FrozenTrial], best: FrozenTrial, folder: Path) -> dict[str, Any]:
    """Writes the winner's config and returns the summary."""
    winner = replace(with_fields(sweep.base, best.params), name=f"{sweep.name}_best")
    files.write(winner, folder / BEST)
    return {
        "metric": sweep.base.optim.metric if isinstance(sweep.base, Pretrain) else GROWTH,
        "best_trial": best.number,
        "best_value": best.value,
        "best": best.params,
        "trials": [_as_json(one) for one in trials],
    }


def _as_json(one: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": one.number,
        "state": STATE_NAMES.get(one.state, "interrupted"),
        "value": one.value if one.state == TrialState.COMPLETE else None,
        "epochs": one.user_attrs.get("epochs"),
        "params": one.params,
        "fault": one.user_attrs.get("fault"),
    }


def _log(one: FrozenTrial, fault: str | None) -> None:
    if fault is not None:
        logger.warning("trial %d failed: %s", one.number, fault)
        return
    values = ", ".join(f"{name} {_written(value)}" for name, value in one.params.items())
    found = "no metric" if one.value is None else f"{one.value:.4f}"
    logger.info("trial %d %s: %s with %s", one.number, STATE_NAMES[one.state], found, values)


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
