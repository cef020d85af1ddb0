"""The stage that searches hyper-parameters: the values with the best metric on the valid days.

Every trial is an ordinary pretraining run, of which the test days are cut off before anything is computed. A trial is a
function of the sweep's seed, of its own number and of the trials before it, so that a sweep that was killed and
continued tries what it would have tried.

The values come from a tree-structured Parzen estimator, and runs whose metric stays below the median of the others at
the same epoch are stopped, both as implemented by Optuna. Reference: Bergstra et al. (2011), Algorithms for
Hyper-Parameter Optimization.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from configs import files
from configs.paths import located
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep, Uniform
from configs.values import to_data, upgraded, with_fields
from encoders.data import TrainingData, prepare
from encoders.training.loop import Experiment, pretrain, score
from market.artifacts import HISTORY, METRICS, SWEEP, TRIALS
from market.features import FeatureSet
from market.labels import Label
from market.panel import Panel
from market.scaling.scalers import Scaling
from market.splits import Split
from market.storage.array_file import write_json
from pipeline.pretraining import enter_looks
from pipeline.results import SILENT, Observer, SweepResult
from pipeline.run_directory import begin, is_finished, lock, sweep_folder

BEST = "best"
STATE_NAMES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}

logger = logging.getLogger(__name__)


class TrialInputs(NamedTuple):
    """The part of an experiment that decides its data."""

    features: FeatureSet
    scaling: Scaling
    lookback: int
    label: Label
    split: Split


def sweep(
    experiment: Sweep, workdir: str | Path = "workdir", overwrite: bool = False, observer: Observer = SILENT
) -> SweepResult:
    """Runs one search in ``workdir/sweep/<name>/``; an interrupted one continues in the middle of its trial.

    Args:
        experiment: What is varied, and how.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away a search that is already there, finished or not.
        observer: Follows from outside.

    Raises:
        ValueError: Another process works on the folder, the search is finished or was started with another
            configuration, or no trial had a metric.
    """
    experiment = located(experiment, workdir)
    folder = sweep_folder(workdir, experiment.name)
    with lock(folder):
        begin(folder, experiment, SWEEP, overwrite)
        summary = search(experiment, folder)
        write_json(folder / SWEEP, summary)
    result = SweepResult(folder, summary)
    observer.finished(result)
    return result


def search(sweep: Sweep, folder: Path) -> dict[str, Any]:
    """Runs the trials that are not done yet, writes the winner's config into ``best/``, and returns the summary.

    Raises:
        ValueError: No trial had a metric.
    """
    panel = known_panel(sweep.base)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / TRIALS}")
    study = open_study(sweep, storage)
    while trial := next_trial(study, storage, sweep):
        fault = run_trial(trial, sweep, folder, panel)
        _log(study.trials[trial.number], fault)
    ranked = [one for one in study.trials if one.state == TrialState.COMPLETE]
    if not ranked:
        raise ValueError(
            f"{folder}: none of {sweep.trials} trials had a metric; see their folders, and mend the config"
        )
    best = max(ranked, key=lambda one: (one.value, -one.number))
    winner = replace(with_fields(sweep.base, best.params), name=f"{sweep.name}_best")
    files.write(winner, folder / BEST)
    return {
        "metric": sweep.base.optim.metric,
        "best_trial": best.number,
        "best_value": best.value,
        "best": best.params,
        "trials": [_as_json(one) for one in study.trials],
    }


def known_panel(base: Pretrain) -> Panel:
    """Returns the panel up to the last day that the label of a valid day needs, which lies before the test days."""
    whole = Panel.load(base.panel)
    days = base.split.days(whole.dates, base.label.span)
    return whole[: days.valid.stop + base.label.span]


def open_study(sweep: Sweep, storage: optuna.storages.RDBStorage) -> optuna.Study:
    """Returns the record of the trials so far, which lies in the folder of the sweep."""
    return optuna.create_study(
        storage=storage,
        study_name=sweep.name,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=sweep.random_trials, n_warmup_steps=sweep.warmup_epochs),
        load_if_exists=True,
    )


def next_trial(study: optuna.Study, storage: optuna.storages.RDBStorage, sweep: Sweep) -> Trial | None:
    """Returns the trial that was interrupted, else a new one, with its values; None where all are done."""
    interrupted = study.get_trials(states=(TrialState.RUNNING,))
    number = interrupted[0].number if interrupted else len(study.trials)
    if number >= sweep.trials:
        return None
    seed = int(np.random.SeedSequence((sweep.seed, number)).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=sweep.random_trials, seed=seed)
    trial = continued(study, storage, number) if interrupted else study.ask()
    for one in sweep.dimensions:
        draw(trial, one)
    return trial


def continued(study: optuna.Study, storage: optuna.storages.RDBStorage, number: int) -> Trial:
    """Returns a trial that another process began."""
    own = storage.get_study_id_from_name(study.study_name)
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(own, number))


def draw(trial: Trial, one: Choice | Integer | Uniform | LogUniform) -> None:
    """Draws the value of a dimension; one that was drawn before stays."""
    if isinstance(one, Choice):
        trial.suggest_categorical(one.field, one.values)
    elif isinstance(one, Integer):
        trial.suggest_int(one.field, one.low, one.high, step=one.step)
    else:
        trial.suggest_float(one.field, one.low, one.high, log=isinstance(one, LogUniform))


def run_trial(trial: Trial, sweep: Sweep, folder: Path, panel: Panel) -> str | None:
    """Runs or continues one trial and tells the study of it; returns what was wrong, None where nothing was.

    Values that do not fit together, and a training that diverges, fail the trial and not the sweep.
    """
    own = folder / f"trial_{trial.number}"
    try:
        experiment = replace(with_fields(sweep.base, trial.params), name=f"{sweep.name}_trial_{trial.number}")
        if not is_finished(own, experiment, METRICS):
            begin(own, experiment, METRICS, overwrite=False)
            learn(experiment, own, panel, trial)
    except ValueError as error:
        trial.set_user_attr("fault", str(error))
        trial.study.tell(trial, state=TrialState.FAIL)
        return str(error)
    conclude(trial, experiment, own)
    return None


def learn(experiment: Pretrain, folder: Path, panel: Panel, trial: Trial) -> None:
    """Runs or continues the experiment of a trial, which may be stopped early."""

    def should_stop(values: Sequence[float | None]) -> bool:
        report(trial, values)
        return trial.should_prune()

    enter_looks(experiment, folder.name, "sweep", ("valid",))
    inputs = TrialInputs(
        experiment.features, experiment.scaling, experiment.encoder.lookback, experiment.label, experiment.split
    )
    settings, params = to_data(experiment), trial.params
    pretrain(
        Experiment(
            experiment.encoder,
            training_data(panel, inputs),
            experiment.optim,
            experiment.seed,
            settings,
            listed=params,
            upgraded=upgraded,
            should_stop=should_stop,
        ),
        folder,
    )


@lru_cache(maxsize=1)  # most sweeps vary nothing of this, and features take longer than many a trial
def training_data(panel: Panel, inputs: TrialInputs) -> TrainingData:
    """Returns the data that trials learn from and are judged on, without test days."""
    return prepare(panel, *inputs, ("train", "valid"))


def report(trial: Trial, values: Sequence[float | None]) -> None:
    """Tells the study of the metric of every epoch that it does not know yet."""
    known = trial.study.trials[trial.number].intermediate_values
    for epoch, value in enumerate(values):
        if value is not None and epoch not in known:
            trial.report(value, epoch)


def conclude(trial: Trial, experiment: Pretrain, folder: Path) -> None:
    """Tells the study how a finished run went."""
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    metric = experiment.optim.metric
    report(trial, [score(json.loads(line)["valid"], metric) for line in lines])
    value = score(metrics["valid"], metric)
    trial.set_user_attr("epochs", metrics["n_epochs"])
    if value is None:
        trial.study.tell(trial, state=TrialState.FAIL)
    elif metrics["n_epochs"] < experiment.optim.epochs and trial.should_prune():
        trial.study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.study.tell(trial, value)


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
