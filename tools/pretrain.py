"""`accelerate launch -m tools.pretrain --config configs/pretrain/dj30_storm_dual.py`: prices to a trained encoder."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from rich.console import Console
from rich.table import Table

from configs.schema.pretrain import Pretrain
from configs.values import to_data, upgraded
from encoders.launch import meet
from encoders.pipeline import prepare
from encoders.training import Experiment, pretrain
from market.panel import Panel
from tools.cli import configurations, run
from tools.runs.directory import claimed, finished, opened
from tools.runs.forecast_trading import trading_on

RESULT = "metrics.json"
PARTS = ("valid", "test")
TRADED = ("annual_return", "sharpe", "max_drawdown", "turnover")
SHOWN = ("ic", "icir", "rank_ic", "rank_icir", "rank_ic_t", "n_days", "n_assets")


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a run that is already there, finished or not."""


def main(argv: Sequence[str]) -> None:
    """Pretrains the encoder of each experiment; an interrupted run continues."""
    experiments, options = configurations(Pretrain, Options, argv, "configs/pretrain")
    state = meet()
    for experiment in experiments:
        folder = Path(options.workdir) / "pretrain" / experiment.name
        if len(experiments) > 1 and not options.overwrite and finished(folder, experiment, RESULT):
            print(f"{folder} is finished")
        else:
            _pretrain(experiment, folder, options.overwrite, state)
    if state.use_distributed:
        state.destroy_process_group()


def _pretrain(experiment: Pretrain, folder: Path, overwrite: bool, state: PartialState) -> None:
    with claimed(folder) if state.is_main_process else nullcontext():
        if state.is_main_process:
            opened(folder, experiment, RESULT, overwrite)
        state.wait_for_everyone()
        metrics = learn(experiment, folder)
        if state.is_main_process:
            show(metrics, folder)


def learn(experiment: Pretrain, folder: Path) -> dict[str, Any]:
    """Runs or continues the experiment in `folder` and returns its metrics."""
    data = prepare(
        Panel.load(experiment.panel),
        experiment.features,
        experiment.scaling,
        experiment.encoder.lookback,
        experiment.label,
        experiment.split,
    )
    backtest = trading_on(
        data.panel, experiment.label.fill, experiment.portfolio, experiment.costs, experiment.price_limit
    )
    settings = to_data(experiment)
    run = Experiment(experiment.encoder, data, experiment.optim, experiment.seed, settings, backtest, upgraded=upgraded)
    return pretrain(run, folder)


def show(metrics: Mapping[str, Any], folder: Path) -> None:
    """Prints the measures of the best checkpoint."""
    table = Table(title=f"{folder} (best epoch {metrics['best_epoch']} of {metrics['n_epochs']})")
    for column in ("measure", "valid", "test"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name in SHOWN:
        table.add_row(name, *(_written(metrics[part][name]) for part in PARTS))
    for part in PARTS:
        interval = metrics[part]["rank_ic_ci"]
        if interval is not None:
            table.add_row(f"rank_ic 95 % interval, {part}", *(_written(bound) for bound in interval))
    for name in TRADED:
        table.add_row(f"{name}, top-k drop-n", *(_written(metrics[part]["portfolio"][name]) for part in PARTS))
    for codebook, health in metrics["train"]["codebooks"].items():
        table.add_row(f"codebook {codebook}: codes used in train", f"{health['usage']:.0%}", "")
    Console().print(table)


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(main)
