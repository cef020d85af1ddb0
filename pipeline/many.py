"""Stages over many configurations: encoders or agents, side by side where an engine runs several at once."""

from collections.abc import Sequence
from pathlib import Path

from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from pipeline.agent_comparison import train_jobs
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import connected
from pipeline.jobs.stages import PretrainJob
from pipeline.pretraining import pretrain
from pipeline.results import SILENT, Observer
from pipeline.run_directory import lock, pretrain_folder, remove_folder, trade_folder
from pipeline.trackers import check_trackers
from pipeline.training import train


def pretrain_many(
    experiments: Sequence[Pretrain],
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    test: bool = False,
    observer: Observer = SILENT,
    engine: Engine = HERE,
    trackers: Sequence[str] = (),
) -> None:
    """Trains encoders; of several, those that are finished are left alone.

    Args:
        experiments: What decides the runs.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away runs that are already there, finished or not.
        test: Evaluate the best checkpoints on the test days too.
        observer: Follows from outside.
        engine: Where they are trained.
        trackers: Trackers that show the runs beside TensorBoard.

    Raises:
        ValueError: As `pretrain` does.
    """
    shown = check_trackers(trackers)
    many = len(experiments) > 1
    if not engine.is_parallel:
        for one in experiments:
            pretrain(one, workdir, overwrite, many, observer, test, trackers=shown)
        return
    if overwrite:
        _clear([pretrain_folder(workdir, one.name) for one in experiments])
    how = (None, many, test, shown)
    jobs = [PretrainJob(f"pretrain {one.name}", str(workdir), one, *how) for one in experiments]
    execute(connected(jobs), engine, observer)


def train_many(
    experiments: Sequence[Trade],
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    device: str = "cpu",
    threads: int = 1,
    observer: Observer = SILENT,
    engine: Engine = HERE,
    trackers: Sequence[str] = (),
) -> None:
    """Trains the agents of many runs, a seed at a time; of several runs, those that are finished are left alone.

    Args:
        experiments: What decides the runs.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away runs that are already there, finished or not.
        device: Device of the networks.
        threads: Threads of torch.
        observer: Follows from outside.
        engine: Where they are trained.
        trackers: Trackers that show the agents beside TensorBoard.

    Raises:
        ValueError: As `train` does.
    """
    shown = check_trackers(trackers)
    many = len(experiments) > 1
    if not engine.is_parallel:
        for one in experiments:
            train(one, workdir, overwrite, many, device, threads, observer, shown)
        return
    if overwrite:
        _clear([trade_folder(workdir, one.name) for one in experiments])
    execute(train_jobs(experiments, workdir, engine, many, device, threads, shown), engine, observer)


def _clear(folders: Sequence[Path]) -> None:
    """Removes runs before anything starts, so that one that is started twice does not lose what it has learnt.

    Raises:
        ValueError: Another process works on one of them.
    """
    for folder in folders:
        with lock(folder):
            remove_folder(folder)
