"""One trial of a search: a run of an encoder or of agents that never sees the test days, and may be stopped early.

A run whose metric stays below the median of earlier trials at the same epoch (of agents: validation) is stopped, as
implemented by Optuna. Which trials are the earlier ones is decided by the search and not by who was faster.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial

from agents.training.callbacks import worth
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Sweep
from configs.schema.trade import Trade
from configs.values import to_data, upgraded, with_fields
from encoders.data import TrainingData, prepare
from encoders.training.loop import Experiment, pretrain, score
from market.artifacts import HISTORY, METRICS, TRAINING
from market.features import FeatureSet
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import Scaling
from market.splits import Split
from market.storage.array_file import read_header, read_json
from pipeline.control_markets import question_of
from pipeline.jobs.job import Job, input_paths
from pipeline.jobs.stages import ledger_of
from pipeline.pretraining import enter_looks
from pipeline.results import Observer
from pipeline.run_directory import begin, is_finished, seed_folder
from pipeline.training import learn_seeds, validations


class TrialInputs(NamedTuple):
    """The part of an experiment that decides its data."""

    features: FeatureSet
    scaling: Scaling
    lookback: int
    label: Label
    split: Split


class TrialEnd(NamedTuple):
    """The end of a trial.

    Attributes:
        values: Validation metric of each epoch, or of each validation of the first seed.
        value: What it is ranked by; None where there is nothing.
        stopped: Whether it was stopped early.
    """

    values: list[float | None]
    value: float | None
    stopped: bool


@dataclass(frozen=True)
class TrialJob(Job):
    """Runs or continues one trial.

    Attributes:
        sweep: The search.
        folder: Its folder.
        number: Of the trial.
        params: Its values by dotted field.
        peers: Trials that it is measured against.
    """

    sweep: Sweep
    folder: str
    number: int
    params: tuple[tuple[str, Any], ...] = ()
    peers: tuple[FrozenTrial, ...] = ()

    @property
    def own(self) -> Path:
        """Folder of the trial."""
        return Path(self.folder) / f"trial_{self.number}"

    @property
    def trial_run(self) -> Pretrain | Trade:
        """The run with the trial's values.

        Raises:
            ValueError: They do not fit together.
        """
        name = f"{self.sweep.name}_trial_{self.number}"
        found: Pretrain | Trade = replace(with_fields(self.sweep.base, dict(self.params)), name=name)
        return found

    def run(self, observer: Observer) -> str | None:
        """Returns what was wrong, None where nothing was.

        Values that do not fit together, and a training that diverges, fail the trial and not the search.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # of the studies that stand for the peers
        try:
            experiment = self.trial_run
            if not is_finished(self.own, experiment, _result_of(experiment)):
                begin(self.own, experiment, _result_of(experiment), overwrite=False)
                _learn(experiment, self.own, dict(self.params), self.measured())
        except ValueError as error:
            return str(error)
        return None

    def measured(self) -> Trial:
        """Returns the trial beside its peers, with nothing reported yet."""
        sweep = self.sweep
        pruner = optuna.pruners.MedianPruner(n_startup_trials=sweep.random_trials, n_warmup_steps=sweep.warmup_epochs)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        study.add_trials(self.peers)
        return study.ask()

    @property
    def reads(self) -> tuple[str, ...]:
        """The panel, and what else the base names."""
        return input_paths(self.sweep.base, self.workdir)

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the trial."""
        return (str(self.own),)

    @property
    def appends(self) -> tuple[str, ...]:
        """The ledger of looks."""
        return (ledger_of(self.sweep.base.panel),)


def known_panel(base: Pretrain) -> Panel:
    """Returns the panel up to the last day that the label of a valid day needs, which lies before the test days."""
    whole = Panel.load(base.panel)
    days = base.split.days(whole.dates, base.label.span)
    return whole[: days.valid.stop + base.label.span]


def report(trial: Trial, values: Sequence[float | None]) -> None:
    """Tells the study of the metric of every epoch that it does not know yet."""
    known = trial.study.trials[trial.number].intermediate_values
    for epoch, value in enumerate(values):
        if value is not None and epoch not in known:
            trial.report(value, epoch)


def trial_end(job: TrialJob) -> TrialEnd:
    """Returns how a finished trial went, from the files that it left."""
    experiment, own = job.trial_run, job.own
    if isinstance(experiment, Pretrain):
        metric, metrics = experiment.optim.metric, read_json(own / METRICS)
        values = [score(one["valid"], metric) for one in _lines(own / HISTORY)]
        early = metrics["n_epochs"] < experiment.optim.epochs
        return TrialEnd(values, score(metrics["valid"], metric), early and _is_below(job, values))
    seeds = list(read_json(own / TRAINING)["seeds"].values())
    shown: list[float | None] = [*validations(seed_folder(own, experiment.seeds[0]))]
    early = len(seeds) < len(experiment.seeds) or seeds[0]["n_steps"] < experiment.schedule.total_steps
    return TrialEnd(shown, float(np.mean([worth(one) for one in seeds])), early and _is_below(job, shown))


def _result_of(experiment: Pretrain | Trade) -> str:
    return METRICS if isinstance(experiment, Pretrain) else TRAINING


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _is_below(job: TrialJob, values: Sequence[float | None]) -> bool:
    trial = job.measured()
    report(trial, values)
    return trial.should_prune()


def _learn(experiment: Pretrain | Trade, folder: Path, params: dict[str, Any], trial: Trial) -> None:
    def should_stop(values: Sequence[float | None]) -> bool:
        report(trial, values)
        return trial.should_prune()

    if isinstance(experiment, Trade):
        question_of(experiment).enter("train", "valid", folder.name, to_data(experiment), experiment.seeds)
        learn_seeds(experiment, folder, should_stop)
        return
    enter_looks(experiment, folder.name, "sweep", ("valid",))
    inputs = TrialInputs(
        experiment.features, experiment.scaling, experiment.encoder.lookback, experiment.label, experiment.split
    )
    settings = to_data(experiment)
    pretrain(
        Experiment(
            experiment.encoder,
            _data(experiment.panel, str(read_header(experiment.panel)["fingerprint"]), inputs),
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
def _data(panel: str, fingerprint: str, inputs: TrialInputs) -> TrainingData:
    """The data that trials learn from and are evaluated on, without test days; `fingerprint` is that of the panel."""
    whole = Panel.load(panel)
    days = inputs.split.days(whole.dates, inputs.label.span)
    return prepare(whole[: days.valid.stop + inputs.label.span], *inputs, ("train", "valid"))
