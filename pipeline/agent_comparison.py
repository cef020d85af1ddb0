"""Trading runs side by side: each beside buy and hold on its own test days."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.files import load_json
from configs.schema.evaluate import Evaluate
from configs.schema.trade import Trade
from evaluation.formats import number, percent, within
from market.artifacts import CONFIG, METRICS
from pipeline.differences import differing_fields
from pipeline.evaluation import metrics_of
from pipeline.evaluation_settings import index_of, refuse_mixed_settings
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job
from pipeline.jobs.stages import EvaluateJob, TrainJob, seed_jobs
from pipeline.results import SILENT, AgentComparison, Observer
from pipeline.run_directory import evaluate_folder, trade_folder


def compare_agents(
    experiments: Sequence[Trade] = (),
    runs: Sequence[str | Path] = (),
    seeds: Sequence[int] = (),
    settings: Evaluate | None = None,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> AgentComparison:
    """Sets trading runs side by side, each beside buy and hold on its own test days.

    Runs that are not trained yet are trained, and runs that are not evaluated yet are evaluated.

    Args:
        experiments: Trading runs to compare.
        runs: Directories of finished trading runs to compare with them.
        seeds: Seeds to train every experiment with; by default those that they name.
        settings: How to evaluate; None takes evaluations as they were made, and makes others by default.
        workdir: Where the artifacts of all stages live.
        overwrite: Evaluate again what has been evaluated.
        observer: Follows from outside.
        engine: Where runs are trained and evaluated.

    Raises:
        ValueError: A run is not finished, or was evaluated in another way than `settings` say, or than another run
            was, and is not to be evaluated again.
    """
    folders = [*train_all(experiments, seeds, workdir, observer, engine), *(Path(one) for one in runs)]
    refuse_mixed_settings([path for path in _evaluations(folders, workdir) if path.exists() and not overwrite])
    execute(evaluate_jobs(folders, settings, workdir, overwrite), engine, observer)
    found = {one.name: metrics_of(one, settings, workdir, False, observer) for one in folders}
    refuse_mixed_settings(_evaluations(folders, workdir))
    rows = [row for name, one in found.items() for row in trading_rows(name, one)]
    candidates = {one.name: load_json(one / CONFIG, Trade) for one in folders}
    result = AgentComparison(rows, found, differing_fields(candidates))
    observer.finished(result)
    return result


def train_all(
    experiments: Sequence[Trade],
    seeds: Sequence[int],
    workdir: str | Path,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> list[Path]:
    """Trains the agents of every run unless that is done, and returns the directories of the runs.

    Raises:
        ValueError: A directory holds a run of another configuration.
    """
    runs = [replace(one, seeds=tuple(seeds)) if seeds else one for one in experiments]
    execute(train_jobs(runs, workdir, engine), engine, observer)
    return [trade_folder(workdir, one.name) for one in runs]


def train_jobs(
    runs: Sequence[Trade],
    workdir: str | Path,
    engine: Engine,
    reuse: bool = True,
    device: str = "cpu",
    threads: int = 1,
    trackers: Sequence[str] = (),
) -> list[Job]:
    """Returns trainings of agents as jobs: one a run, or one a seed where an engine runs several at once."""
    how = (reuse, device, threads, tuple(trackers))
    bases = [TrainJob(f"train {one.name}", str(workdir), one, *how) for one in runs]
    if not engine.is_parallel:
        return list(bases)
    return [job for base in bases for job in seed_jobs(base)]


def _evaluations(folders: Sequence[Path], workdir: str | Path) -> list[Path]:
    return [evaluate_folder(workdir, one.name) / METRICS for one in folders]


def evaluate_jobs(
    folders: Sequence[Path], settings: Evaluate | None, workdir: str | Path, overwrite: bool
) -> list[Job]:
    """Returns evaluations of finished runs as jobs; those that ask the same question come one after the other.

    A result counts what was looked at before, so the order is part of it.

    Raises:
        ValueError: A directory holds no run.
    """
    jobs: list[Job] = []
    before: dict[tuple[str, str | None], str] = {}
    for folder in dict.fromkeys(folders):
        experiment = load_json(folder / CONFIG, Trade)
        question, name = (experiment.panel, experiment.asset), f"evaluate {folder.name}"
        what = (str(folder), experiment.panel, experiment.states, settings, overwrite)
        jobs.append(EvaluateJob(name, str(workdir), *what, after=(before[question],) if question in before else ()))
        before[question] = name
    return jobs


def trading_rows(name: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns one row for each agent of an evaluation: itself, its references, and the differences of Sharpe ratios."""
    rows, index = [], index_of(metrics)
    passive = metrics["performance"]["buy_and_hold"]
    for agent, found in metrics["comparisons"].items():
        own = metrics["performance"][agent]
        row = {
            "run": name,
            "agent": agent,
            "return a year": percent(own["annual_return"]),
            "Sharpe": within(own["sharpe"], own["sharpe_ci"]),
            "Sharpe over seeds": within(own["mean"]["sharpe"], own["ci"]["sharpe"]),
            "deepest loss": percent(own["max_drawdown"]),
            "invested": percent(own.get("exposure"), 0),
            "in market": percent(own.get("time_in_market"), 0),
            "buy and hold": percent(passive["annual_return"]),
            "its Sharpe": number(passive["sharpe"]),
            "difference": _ahead(found, "buy_and_hold"),
            "difference from equal weight": _ahead(found, "equal_weight"),
            "learnt in-sample": "yes" if any(metrics.get("in_sample_days", {}).values()) else "no",
        }
        if index is not None:
            row |= {
                "index": f"{percent(metrics['performance'][index]['annual_return'])}, {index.removeprefix('index ')}",
                "Sharpe of the index": number(metrics["performance"][index]["sharpe"]),
                "difference from the index": _ahead(found, index),
            }
        rows.append(row | {"verdict": metrics["verdict"][agent]["word"]})
    return rows


def _ahead(found: Mapping[str, Any], reference: str) -> str:
    """By how much an agent's Sharpe ratio is above a reference's; of one asset, equal weight is buy and hold."""
    gap = found[reference]["sharpe"] if reference in found else None
    return "–" if gap is None else within(gap["difference"], gap["ci"])
