"""The stages as jobs: pretrain, extract, train (begun, seed by seed, finished) and evaluate."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.paths import located
from configs.schema.evaluate import Evaluate
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from market.artifacts import AUDIT, CONFIG, METRICS, STATES
from market.storage.array_file import read_json
from market.storage.ledger import FILE
from pipeline.jobs.job import Job, input_paths
from pipeline.results import Observer, PretrainResult, TrainResult
from pipeline.run_directory import evaluate_folder, pretrain_folder, seed_folder, states_folder, trade_folder


@dataclass(frozen=True)
class PretrainJob(Job):
    """Trains an encoder.

    Attributes:
        experiment: Its configuration.
        until: Last day that may be known; None for the whole panel.
        reuse: Leave a finished run alone instead of refusing it.
        test: Evaluate the best checkpoint on the test days too.
        trackers: Trackers that show it beside TensorBoard.
    """

    experiment: Pretrain
    until: str | None = None
    reuse: bool = True
    test: bool = False
    trackers: tuple[str, ...] = ()

    def run(self, observer: Observer) -> Any:
        """Returns whether something was trained."""
        from pipeline.pretraining import pretrain

        until = None if self.until is None else np.datetime64(self.until, "D")
        quiet = replace(observer, finished=_ignore)
        how: dict[str, Any] = {"reuse": self.reuse, "test": self.test, "until": until, "trackers": self.trackers}
        return pretrain(self.experiment, self.workdir, observer=quiet, **how).fresh

    def result(self, answer: bool) -> Any:
        """Returns the trained encoder."""
        folder = pretrain_folder(self.workdir, self.experiment.name)
        return PretrainResult(folder, read_json(folder / METRICS), answer)

    @property
    def reads(self) -> tuple[str, ...]:
        """The panel, and runs of earlier stages."""
        return input_paths(self.experiment, self.workdir)

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the run."""
        return (str(pretrain_folder(self.workdir, self.experiment.name)),)

    @property
    def appends(self) -> tuple[str, ...]:
        """The ledger of looks."""
        return (ledger_of(located(self.experiment, self.workdir).panel),)


@dataclass(frozen=True)
class ExtractJob(Job):
    """Freezes a trained encoder and writes its states.

    Attributes:
        experiment: Configuration of the pretraining run.
    """

    experiment: Pretrain

    def run(self, observer: Observer) -> Any:
        """Returns whether something was extracted."""
        from pipeline.extraction import extract

        run = pretrain_folder(self.workdir, self.experiment.name)
        quiet = replace(observer, finished=_ignore)
        return extract(run, workdir=self.workdir, reuse=True, observer=quiet).fresh

    def result(self, answer: bool) -> Any:
        """Returns the states."""
        from pipeline.extraction import read_extraction

        return replace(read_extraction(states_folder(self.workdir, self.experiment.name)), fresh=answer)

    @property
    def reads(self) -> tuple[str, ...]:
        """The run and its panel."""
        return str(pretrain_folder(self.workdir, self.experiment.name)), located(self.experiment, self.workdir).panel

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the states."""
        return (str(states_folder(self.workdir, self.experiment.name)),)


@dataclass(frozen=True)
class TrainJob(Job):
    """Trains the agents of a run that are not trained yet, one after the other, and sums them up.

    Attributes:
        experiment: Configuration of the run.
        reuse: Leave a finished run alone instead of refusing it.
        device: Device of the networks.
        threads: Threads of torch.
        trackers: Trackers that show each agent beside TensorBoard.
    """

    experiment: Trade
    reuse: bool = True
    device: str = "cpu"
    threads: int = 1
    trackers: tuple[str, ...] = ()

    def run(self, observer: Observer) -> Any:
        """Returns whether the run was not finished before."""
        from pipeline.training import train

        quiet = replace(observer, finished=_ignore)
        how = (self.device, self.threads, quiet, self.trackers)
        return train(self.experiment, self.workdir, False, self.reuse, *how).fresh

    def result(self, answer: bool) -> Any:
        """Returns the trained agents."""
        from agents.checkpoint import RECORD

        folder = trade_folder(self.workdir, self.experiment.name)
        seeds = self.experiment.seeds if answer else ()
        return TrainResult(folder, [read_json(seed_folder(folder, seed) / RECORD) for seed in seeds], answer)

    @property
    def reads(self) -> tuple[str, ...]:
        """The panel and the states."""
        return input_paths(self.experiment, self.workdir)

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the run."""
        return (str(trade_folder(self.workdir, self.experiment.name)),)

    @property
    def appends(self) -> tuple[str, ...]:
        """The ledger of looks."""
        return (ledger_of(located(self.experiment, self.workdir).panel),)


@dataclass(frozen=True)
class BeginTrainingJob(TrainJob):
    """Prepares the folder of a run, so that its seeds can be trained side by side."""

    def run(self, observer: Observer) -> Any:
        """Writes the configuration and the audit of what agents will see, and counts the look."""
        from pipeline.training import begin_training

        begin_training(self.experiment, self.workdir, self.reuse)

    def result(self, answer: Any) -> Any:
        """Nothing to show."""


@dataclass(frozen=True)
class SeedJob(TrainJob):
    """Trains one agent of a run that was begun.

    Attributes:
        seed: Which one.
    """

    seed: int = field(default=0, kw_only=True)

    def run(self, observer: Observer) -> Any:
        """Trains it; a finished one is left alone."""
        from pipeline.training import train_seed

        train_seed(self.experiment, self.seed, self.workdir, self.device, self.threads, self.trackers)

    def result(self, answer: Any) -> Any:
        """Nothing to show before all seeds are there."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The panel, the states, and the folder that was begun."""
        folder = trade_folder(self.workdir, self.experiment.name)
        return *super().reads, *(str(folder / name) for name in (CONFIG, AUDIT))

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the seed."""
        return (str(seed_folder(trade_folder(self.workdir, self.experiment.name), self.seed)),)


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Evaluates a finished training run on its test days, where that has not been done.

    Attributes:
        run_folder: Directory of the run.
        panel: Its panel, beside which looks are counted.
        states: Its states, None where it sees none.
        settings: How to evaluate; None takes an evaluation as it was made.
        overwrite: Evaluate again what has been evaluated.
    """

    run_folder: str
    panel: str
    states: str | None
    settings: Evaluate | None
    overwrite: bool = False

    def run(self, observer: Observer) -> Any:
        """Writes the evidence."""
        from pipeline.evaluation import metrics_of

        metrics_of(Path(self.run_folder), self.settings, self.workdir, self.overwrite, observer)

    @property
    def reads(self) -> tuple[str, ...]:
        """The run, its panel, states and the run that made these, an index, and the evaluation that is there."""
        paths = [self.run_folder, self.panel, *input_paths(self.settings, self.workdir), *self.writes]
        if self.states is not None:
            paths.append(self.states)
            record = Path(self.states).with_name(CONFIG)
            if record.exists():
                paths.append(os.path.join(read_json(record)["run"], CONFIG))
        return tuple(paths)

    @property
    def writes(self) -> tuple[str, ...]:
        """Folder of the evaluation."""
        return (str(evaluate_folder(self.workdir, Path(self.run_folder).name)),)

    @property
    def appends(self) -> tuple[str, ...]:
        """The ledger of looks."""
        return (ledger_of(self.panel),)


def ledger_of(panel: str) -> str:
    """Returns the ledger beside a panel, by the same kind of path."""
    return os.path.join(os.path.dirname(panel), FILE)


def seed_jobs(base: TrainJob) -> list[Job]:
    """Returns the jobs of a training run whose seeds are trained side by side; the last one has the name of `base`."""
    begun = f"{base.name}: begin"
    what: tuple[Any, ...] = (base.workdir, base.experiment, base.reuse, base.device, base.threads, base.trackers)
    seeds: Sequence[Job] = [
        SeedJob(f"{base.name}: seed {seed}", *what, after=(begun,), seed=seed) for seed in base.experiment.seeds
    ]
    return [
        BeginTrainingJob(begun, *what, after=base.after),
        *seeds,
        replace(base, after=tuple(seed.name for seed in seeds)),
    ]


def states_of(trade: Trade, encoders: Sequence[Pretrain], workdir: str | Path) -> Pretrain | None:
    """Returns the encoder whose states a trading run sees, where it is one of `encoders`."""
    seen = {os.path.abspath(path) for path in input_paths(trade, workdir)}
    return next((one for one in encoders if os.path.abspath(states_folder(workdir, one.name) / STATES) in seen), None)


def _ignore(result: Any) -> None:
    """The job's result is shown where it was asked for."""
