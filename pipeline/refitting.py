"""The stage that refits: an encoder trained again and again on a calendar, and its states put together.

Every refit is an ordinary pretraining run on the panel as it was known when it was made, so it is the same whenever it
is made: a walk that continues with new days leaves finished refits alone and trains those that are due.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from configs import files
from configs.files import load_json, source_text
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from encoders.data import Pipeline
from encoders.ensemble import Ensemble, Member
from encoders.states.inputs import ProvenInputs, prove_inputs
from encoders.states.stitching import FoldStates, stitch
from evaluation.walk_forward import FittedForecast, walk_metrics, walk_page
from market.arrays import DateArray
from market.artifacts import AUDIT, CONFIG, METRICS, MODEL, OWN_TABLES, REPORT, STATES, WALK
from market.features.external import own_tables
from market.panel import Panel
from market.splits import Fold
from market.states import MarketStates
from market.storage.array_file import header_dates, read_header, read_json, write_json, write_text
from pipeline.extraction import Extract, extract
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job, connected
from pipeline.jobs.stages import ExtractJob, PretrainJob
from pipeline.pretraining import pretrain
from pipeline.results import SILENT, FoldProgress, Observer, WalkProgress, WalkResult, ignore
from pipeline.run_directory import lock, pretrain_folder, remove_folder, states_folder, walk_folder


@dataclass(frozen=True)
class FoldRuns:
    """The pretraining runs of one refit.

    Attributes:
        fold: Its days.
        fit_end: Last day that it may know.
        runs: In the order in which they are trained: stage by stage and seed by seed, the ensemble last.
    """

    fold: Fold
    fit_end: np.datetime64
    runs: tuple[Pretrain, ...]

    @property
    def served(self) -> Pretrain:
        """The run whose states serve."""
        return self.runs[-1]


def walk(
    experiment: Walk,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> WalkResult:
    """Refits an encoder on its calendar and writes one states file, in which every day comes from a fit before it.

    Refits are runs in ``workdir/pretrain/<name>_<first day served>_seed_<k>/``, with states of their own.
    ``workdir/states/<name>/`` receives the stitched states, ``workdir/walk/<name>/`` the page, ``metrics.json`` and
    ``walk.json``. A walk that was interrupted, or whose panel has new days, continues: the same command does what is
    left to do.

    Args:
        experiment: What decides the walk.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away what is there and begin again.
        observer: Follows from outside; told of each refit that is about to start.
        engine: Where refits are trained; seeds, and folds that start fresh, wait for nothing but their own stages.

    Raises:
        ValueError: Another process works on the walk, it was started with another configuration, a table of own columns
            says something else of days that were read before, the first refit has too few days, or a refit fails;
            finished refits stay.
    """
    folder = walk_folder(workdir, experiment.name)
    panel = Panel.load(experiment.experiment.panel)
    folds = runs_of(experiment, panel.dates, workdir)
    with lock(folder):
        if overwrite:
            _remove(folder, folds, experiment, workdir)
        _begin(folder, experiment)
        _refuse_changed_tables(folder, experiment, panel)
        _fit(folds, panel, workdir, observer, engine)
        result = _join(experiment, folds, panel, folder, workdir)
    observer.finished(result)
    return result


def runs_of(experiment: Walk, dates: DateArray, workdir: str | Path) -> list[FoldRuns]:
    """Returns the refits that the days of a panel ask for, and the runs that each of them consists of.

    Raises:
        ValueError: The first refit has too few days; see `market.splits.WalkForward`.
    """
    found: list[FoldRuns] = []
    for fold in experiment.calendar.folds(dates, experiment.experiment.label.span):
        before = found[-1].runs if found else ()
        label = str(dates[fold.serves.start])
        split = fold.split(dates)
        runs: list[Pretrain] = []
        members = []
        for place, seed in enumerate(experiment.seeds):
            first_run = place * (1 + len(experiment.earlier))
            for stage, base in enumerate((*experiment.earlier, experiment.experiment)):
                last = stage == len(experiment.earlier)
                part = "" if last else f"_stage_{stage}"
                run = replace(base, name=f"{experiment.name}_{label}{part}_seed_{seed}", seed=seed, split=split)
                if stage:
                    source = pretrain_folder(workdir, runs[-1].name)
                    run = replace(run, encoder=replace(base.encoder, run=str(source)))  # type: ignore[type-var]
                elif experiment.start == "warm" and before:
                    run = _warm(run, experiment, pretrain_folder(workdir, before[first_run].name))
                runs.append(_as_started(run, workdir))
            members.append(Member(str(pretrain_folder(workdir, runs[-1].name)), runs[-1].encoder))
        if len(members) > 1:
            joint = replace(runs[-1], name=f"{experiment.name}_{label}", seed=0, encoder=Ensemble(tuple(members)))
            runs.append(_as_started(replace(joint, warm_start=None, split=split), workdir))
        found.append(FoldRuns(fold, dates[fold.fit_end], tuple(runs)))
    return found


def _warm(run: Pretrain, experiment: Walk, source: Path) -> Pretrain:
    epochs = experiment.warm_epochs or run.optim.epochs
    return replace(run, warm_start=str(source), optim=replace(run.optim, epochs=epochs))


def _as_started(run: Pretrain, workdir: str | Path) -> Pretrain:
    """Returns the run as it was started: the days that the last refit serves grow, and decide nothing of it."""
    record = pretrain_folder(workdir, run.name) / CONFIG
    if not record.exists():
        return run
    started = load_json(record, Pretrain)
    alike = replace(started, split=replace(started.split, test=run.split.test))
    return started if alike == run else run


@dataclass(frozen=True)
class FoldTraining(PretrainJob):
    """Trains one run of a refit.

    Attributes:
        fold: What an error says of it.
        proven: Inputs that were audited for all refits.
    """

    fold: str = field(default="", kw_only=True)
    proven: ProvenInputs | None = field(default=None, kw_only=True)

    def run(self, observer: Observer) -> Any:
        """Returns whether something was trained."""
        until, quiet = np.datetime64(str(self.until), "D"), replace(observer, finished=ignore)
        try:
            return pretrain(
                self.experiment, self.workdir, reuse=True, observer=quiet, until=until, proven=self.proven
            ).fresh
        except ValueError as error:
            raise ValueError(f"{self.fold}, {self.experiment.name}: {error}") from error

    def result(self, answer: bool) -> Any:
        """Nothing to show: the walk has a table of its own."""


@dataclass(frozen=True)
class FoldExtraction(ExtractJob):
    """Extracts the states of a refit, unless those that are there reach the last day that it serves.

    Attributes:
        fold: What an error says of it.
        last: That day.
        proven: Inputs that were audited for all refits.
    """

    fold: str
    last: str
    proven: ProvenInputs | None = None

    def run(self, observer: Observer) -> Any:
        """Writes the states."""
        last, quiet = np.datetime64(self.last, "D"), replace(observer, finished=ignore)
        try:
            _extract(self.experiment.name, last, self.workdir, quiet, self.proven)
        except ValueError as error:
            raise ValueError(f"{self.fold}, states: {error}") from error

    def result(self, answer: Any) -> Any:
        """Nothing to show."""


def fold_jobs(
    folds: Sequence[FoldRuns], panel: Panel, workdir: str | Path, proven: ProvenInputs | None = None
) -> list[Job]:
    """Returns the trainings and extractions of all refits as jobs; inputs that are `proven` are not audited again."""
    jobs: list[Job] = []
    for number, fold in enumerate(folds):
        served, where = panel.dates[fold.fold.serves], str(workdir)
        told, until = f"fold {number} (serves from {served[0]} on)", str(fold.fit_end)
        trainings = [
            FoldTraining(f"pretrain {run.name}", where, run, until, fold=told, proven=proven) for run in fold.runs
        ]
        name = fold.served.name
        jobs += trainings
        jobs.append(FoldExtraction(f"extract {name}", where, trainings[-1].experiment, told, str(served[-1]), proven))
    return connected(jobs)


def _fit(folds: Sequence[FoldRuns], panel: Panel, workdir: str | Path, observer: Observer, engine: Engine) -> None:
    """Trains and extracts the refits where that is not done.

    Raises:
        ValueError: A run fails; the message names the refit.
    """

    def tell(job: Job) -> Job:
        if isinstance(job, FoldTraining) and not (Path(job.writes[0]) / METRICS).exists():
            observer.finished(WalkProgress(tuple(_progress(folds, panel, workdir, job.experiment.name))))
        return job

    execute(fold_jobs(folds, panel, workdir, _proven(folds, panel, workdir)), engine, observer, before=tell)


def _proven(folds: Sequence[FoldRuns], panel: Panel, workdir: str | Path) -> ProvenInputs | None:
    """Audits what the first refit is fed with, on all days; where scaling learns nothing, all refits are fed with it.

    Returns None where no refit is left to train, and where the audit fails: the refit then says so itself.
    """
    if all((pretrain_folder(workdir, run.name) / METRICS).exists() for fold in folds for run in fold.runs):
        return None
    first = folds[0].served
    known = panel.between(None, str(folds[0].fit_end))
    try:
        scaler = first.scaling.fit(first.features.compute(known), folds[0].fold.train)
        return prove_inputs(Pipeline(first.features, scaler, first.encoder.lookback), panel)
    except ValueError:
        return None


def _progress(
    folds: Sequence[FoldRuns], panel: Panel, workdir: str | Path, running: str | None
) -> Iterator[FoldProgress]:
    for fold in folds:
        split = fold.fold.split(panel.dates)
        for run in fold.runs:
            finished = (pretrain_folder(workdir, run.name) / METRICS).exists()
            state = "running" if run.name == running else "finished" if finished else "to do"
            yield FoldProgress(fold.fold.number, run.name, split, state)


def _extract(
    name: str, last: np.datetime64, workdir: str | Path, observer: Observer, proven: ProvenInputs | None
) -> None:
    """Extracts the states of a refit unless those that are there reach the last day that it serves."""
    source = pretrain_folder(workdir, name)
    states = states_folder(workdir, name) / STATES
    model = read_header(source / MODEL)["fingerprint"]
    if states.exists() and states.with_name(AUDIT).exists():
        header = read_header(states)
        if header["checkpoint_sha256"] == model and header_dates(header)[-1] >= last:
            return
    extract(source, Extract(), workdir, observer=observer, proven=proven)


def _join(experiment: Walk, folds: Sequence[FoldRuns], panel: Panel, folder: Path, workdir: str | Path) -> WalkResult:
    """Stitches the states, measures the walk and writes its files, the metrics last."""
    states = [MarketStates.load(states_folder(workdir, fold.served.name) / STATES) for fold in folds]
    parts = [
        FoldStates(fold.fold.number, one, panel.dates[fold.fold.serves][0], panel.dates[fold.fold.serves][-1])
        for fold, one in zip(folds, states, strict=True)
    ]
    target = states_folder(workdir, experiment.name)
    with lock(target):
        said = stitch(parts, target / STATES, experiment.experiment.label.span, experiment.alignment)
        joined = MarketStates.load(target / STATES, verify=False)
        write_json(target / AUDIT, {**_joint_audit(folds, workdir), **joined.identity})
        last = pretrain_folder(workdir, folds[-1].served.name)
        write_json(target / CONFIG, {"walk": str(folder), "run": str(last), "n_days": len(panel)})
    metrics = _metrics(experiment, folds, states, panel, workdir)
    write_json(folder / WALK, {"folds": [_record(fold, one) for fold, one in zip(folds, said, strict=True)]})
    page = walk_page(f"Walk: {experiment.name}", metrics, _facts(experiment, panel), source_text(experiment))
    write_text(folder / REPORT, page)
    write_json(folder / METRICS, metrics)
    return WalkResult(folder, target / STATES, metrics)


def _metrics(
    experiment: Walk,
    folds: Sequence[FoldRuns],
    states: Sequence[MarketStates],
    panel: Panel,
    workdir: str | Path,
) -> dict[str, Any]:
    label = experiment.experiment.label.plain  # plain returns, whatever was taught
    returns = label.compute(panel)
    fits = []
    for fold, one in zip(folds, states, strict=True):
        mean, mask = np.full(returns.shape, np.nan), np.zeros(returns.shape, np.bool_)
        mean[: len(one.dates)], mask[: len(one.dates)] = one.forecast_mean, one.mask
        valid = read_json(pretrain_folder(workdir, fold.served.name) / METRICS)["valid"]["rank_ic"]
        fits.append(FittedForecast(fold.fold.fit_end, fold.fold.serves, mean, mask, valid))
    return walk_metrics(fits, returns, panel.dates, label.horizon)


def _joint_audit(folds: Sequence[FoldRuns], workdir: str | Path) -> dict[str, Any]:
    """Returns one audit of all: a check has passed where it has for every fold."""
    each = {fold.served.name: read_json(states_folder(workdir, fold.served.name) / AUDIT) for fold in folds}
    first = next(iter(each.values()))
    checks = {}
    for name in first["checks"]:
        words = dict.fromkeys(one["checks"].get(name, "missing") for one in each.values())
        checks[name] = next((word for word in words if word != "passed"), "passed")
    verdict = "passed" if all(one["verdict"] == "passed" for one in each.values()) else "failed"
    return {**first, "verdict": verdict, "checks": checks, "folds": {name: one["checks"] for name, one in each.items()}}


def _record(fold: FoldRuns, said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "runs": [run.name for run in fold.runs], "states": fold.served.name}


def _facts(experiment: Walk, panel: Panel) -> list[tuple[str, str]]:
    base, calendar = experiment.experiment, experiment.calendar
    every = calendar.every if isinstance(calendar.every, str) else f"{calendar.every} trading days"
    window = "all earlier days" if calendar.train is None else f"the last {calendar.train} days"
    return [
        ("panel", f"{base.panel}: {len(panel.assets)} assets, {panel.dates[0]} to {panel.dates[-1]}"),
        ("encoder", type(base.encoder).__name__),
        ("refitted every", f"{every}, from {calendar.first} on, on {window}; {calendar.valid} days to choose on"),
        ("seeds", ", ".join(map(str, experiment.seeds))),
        ("start", experiment.start),
        ("label", f"{base.label.fill}, {base.label.horizon} day(s)"),
    ]


def _begin(folder: Path, experiment: Walk) -> None:
    """Writes the configuration, or refuses another one than that of the walk that is there.

    Raises:
        ValueError: The folder holds a walk that was started with another configuration.
    """
    record = folder / CONFIG
    if record.exists():
        differing = files.difference(record, experiment)
        if differing:
            raise ValueError(f"{folder}: started with {differing}; use the same, or --overwrite to start again")
    else:
        files.write(experiment, folder)


def _refuse_changed_tables(folder: Path, experiment: Walk, panel: Panel) -> None:
    """Writes down what tables of own columns say, or refuses those that say something else than they did before.

    Raises:
        ValueError: Rows of days that the walk has read are others now.
    """
    path = folder / OWN_TABLES
    known = read_json(path) if path.exists() else {}
    found = {}
    for stage in (*experiment.earlier, experiment.experiment):
        for table in own_tables(stage.features):
            until, before = known.get(table.path, (None, None))
            if until and table.revision(panel.assets, until)[1] != before:
                raise ValueError(
                    f"{table.path}: rows until {until} are others than those that {folder} was made of; put them back, "
                    "give the walk another --name, or --overwrite to start again"
                )
            found[table.path] = table.revision(panel.assets)
    if found:
        write_json(path, found)


def _remove(folder: Path, folds: Sequence[FoldRuns], experiment: Walk, workdir: str | Path) -> None:
    for fold in folds:
        for run in fold.runs:
            remove_folder(pretrain_folder(workdir, run.name))
        remove_folder(states_folder(workdir, fold.served.name))
    remove_folder(states_folder(workdir, experiment.name))
    remove_folder(folder)
