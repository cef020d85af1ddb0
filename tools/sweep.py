"""`python -m tools.sweep --config configs/sweep/dj30_storm.py`: hyper-parameters with the best metric on valid days.

Every trial is an ordinary pretraining run, of which the test days are cut off before anything is computed. A trial is a
function of the sweep's seed, of its own number and of the trials before it, so that a sweep that was killed and
continued tries what it would have tried.

The values come from a tree-structured Parzen estimator, and runs whose metric stays below the median of the others at
the same epoch are stopped, both as implemented by Optuna. Reference: Bergstra et al. (2011), Algorithms for
Hyper-Parameter Optimization.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from configs import files
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep, Uniform
from configs.values import to_data, upgraded, with_fields
from encoders.pipeline import TrainingData, prepare
from encoders.training import Experiment, pretrain, score
from evaluation.formats import number
from market.features import FeatureSet
from market.labels import Label
from market.panel import Panel
from market.scaling import Scaling
from market.splits import Split
from market.storage import write_json
from tools.cli import configured, run
from tools.console import show
from tools.pretrain import RESULT
from tools.runs.directory import claimed, finished, opened

CONFIGS = "configs/sweep"
SUMMARY, STUDY, BEST = "sweep.json", "trials.sqlite", "best"
SHOWN = 10
WORDS = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options beside the sweep."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a sweep that is already there, finished or not."""


def main(argv: Sequence[str]) -> None:
    """Runs one sweep; an interrupted one continues, in the middle of the trial that was under way."""
    sweep, options = configured(Sweep, Options, argv, CONFIGS)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(options.workdir) / "sweep" / sweep.name
    with claimed(folder):
        opened(folder, sweep, SUMMARY, options.overwrite)
        summary = search(sweep, folder)
        write_json(folder / SUMMARY, summary)
    ranked = sorted(summary["trials"], key=lambda one: -np.inf if one["value"] is None else one["value"], reverse=True)
    show(f"{folder}: {sweep.base.optim.metric} on the valid days", [_row(one) for one in ranked[:SHOWN]])
    print(f"the best is {folder / BEST / 'config.py'}, ready for tools.pretrain")


def search(sweep: Sweep, folder: Path) -> dict[str, Any]:
    """Runs the trials that are not done yet, writes the winner's config into ``best/``, and returns the summary.

    Raises:
        ValueError: No trial had a metric.
    """
    panel = known_panel(sweep.base)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDY}")
    study = open_study(sweep, storage)
    while trial := next_trial(study, storage, sweep):
        fault = try_out(trial, sweep, folder, panel)
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


def try_out(trial: Trial, sweep: Sweep, folder: Path, panel: Panel) -> str | None:
    """Runs or continues one trial and tells the study of it; returns what was wrong, None where nothing was.

    Values that do not fit together, and a training that diverges, fail the trial and not the sweep.
    """
    own = folder / f"trial_{trial.number}"
    try:
        experiment = replace(with_fields(sweep.base, trial.params), name=f"{sweep.name}_trial_{trial.number}")
        if not finished(own, experiment, RESULT):
            opened(own, experiment, RESULT, overwrite=False)
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

    data = known_data(
        panel, experiment.features, experiment.scaling, experiment.encoder.lookback, experiment.label, experiment.split
    )
    settings, params = to_data(experiment), trial.params
    pretrain(
        Experiment(
            experiment.encoder,
            data,
            experiment.optim,
            experiment.seed,
            settings,
            listed=params,
            should_stop=should_stop,
            upgraded=upgraded,
        ),
        folder,
    )


@lru_cache(maxsize=1)  # most sweeps vary nothing of this, and features take longer than many a trial
def known_data(
    panel: Panel, features: FeatureSet, scaling: Scaling, lookback: int, label: Label, split: Split
) -> TrainingData:
    """Returns what trials learn from and are judged on, without test days."""
    return prepare(panel, features, scaling, lookback, label, split, ("train", "valid"))


def report(trial: Trial, values: Sequence[float | None]) -> None:
    """Tells the study of the metric of every epoch that it does not know yet."""
    known = trial.study.trials[trial.number].intermediate_values
    for epoch, value in enumerate(values):
        if value is not None and epoch not in known:
            trial.report(value, epoch)


def conclude(trial: Trial, experiment: Pretrain, folder: Path) -> None:
    """Tells the study how a finished run went."""
    metrics = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
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
        "state": WORDS.get(one.state, "interrupted"),
        "value": one.value if one.state == TrialState.COMPLETE else None,
        "epochs": one.user_attrs.get("epochs"),
        "params": one.params,
        "fault": one.user_attrs.get("fault"),
    }


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    known = {"trial": one["trial"], "value": number(one["value"], 4), "state": one["state"], "epochs": one["epochs"]}
    return known | {name: _written(value) for name, value in one["params"].items()}


def _log(one: FrozenTrial, fault: str | None) -> None:
    if fault is not None:
        logger.warning("trial %d failed: %s", one.number, fault)
        return
    values = ", ".join(f"{name} {_written(value)}" for name, value in one.params.items())
    found = "no metric" if one.value is None else f"{one.value:.4f}"
    logger.info("trial %d %s: %s with %s", one.number, WORDS[one.state], found, values)


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(main)
