"""The stage that trains an encoder: a panel to a checkpoint, its forecasts and their measures."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from accelerate import PartialState

from configs.schema.pretrain import Pretrain
from configs.values import to_data
from encoders import data as encoder_pipeline
from encoders.training import loop as training
from encoders.training.launch import init_distributed
from market.artifacts import METRICS
from market.panel import Panel
from market.storage.array_file import read_json
from pipeline.forecast_trading import portfolio_measures
from pipeline.results import SILENT, Observer, PretrainResult
from pipeline.run_directory import begin, is_finished, lock, pretrain_folder


def pretrain(
    experiment: Pretrain,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    reuse: bool = False,
    observer: Observer = SILENT,
) -> PretrainResult:
    """Trains one encoder in ``workdir/pretrain/<name>/``; an interrupted run continues where it stopped.

    Where a launcher started several processes, all of them call this function; the first one writes.

    Args:
        experiment: What decides the run.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away a run that is already there, finished or not.
        reuse: Return a finished run of this very experiment instead of refusing to run it again.
        observer: Follows from outside; told of the result in the first process only.

    Raises:
        ValueError: Another process works on the run, it is finished and neither to be overwritten nor reused, or it
            was started with another configuration.
    """
    folder = pretrain_folder(workdir, experiment.name)
    if reuse and not overwrite and is_finished(folder, experiment, METRICS):
        result = PretrainResult(folder, read_json(folder / METRICS), fresh=False)
        observer.finished(result)
        return result
    state = init_distributed()
    with lock(folder) if state.is_main_process else nullcontext():
        if state.is_main_process:
            begin(folder, experiment, METRICS, overwrite)
        state.wait_for_everyone()
        result = PretrainResult(folder, _learn(experiment, folder))
        if state.is_main_process:
            observer.finished(result)
    return result


def leave_process_group() -> None:
    """Ends the group of processes that a launcher started, so that a program may exit; alone it does nothing."""
    state = PartialState()
    if state.use_distributed:
        state.destroy_process_group()


def _learn(experiment: Pretrain, folder: Path) -> dict[str, Any]:
    data = encoder_pipeline.prepare(
        Panel.load(experiment.panel),
        experiment.features,
        experiment.scaling,
        experiment.encoder.lookback,
        experiment.label,
        experiment.split,
    )
    backtest = portfolio_measures(
        data.panel, experiment.label.fill, experiment.portfolio, experiment.costs, experiment.price_limit
    )
    settings = to_data(experiment)
    run = training.Experiment(experiment.encoder, data, experiment.optim, experiment.seed, settings, backtest)
    return training.pretrain(run, folder)
