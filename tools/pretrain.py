"""`accelerate launch -m tools.pretrain --config configs/pretrain/dj30_storm_dual.py`: prices to a trained encoder."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from configs.schema.pretrain import Pretrain
from configs.values import to_data
from encoders.data import prepare
from encoders.training.launch import init_distributed
from encoders.training.loop import Experiment, pretrain
from envs.rules import MarketRules, recorded_rules
from market.ledger import Part
from market.panel import Panel
from pipeline.trial_count import Question
from tools.cli import configured, run
from tools.runs.directory import claimed, opened
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
    test: bool = False
    """Judge the best checkpoint on the test days too; each such look is counted beside the panel."""


def main(argv: Sequence[str]) -> None:
    """Pretrains one encoder; an interrupted run continues."""
    experiment, options = configured(Pretrain, Options, argv, "configs/pretrain")
    folder = Path(options.workdir) / "pretrain" / experiment.name
    state = init_distributed()
    with claimed(folder) if state.is_main_process else nullcontext():
        if state.is_main_process:
            opened(folder, experiment, RESULT, options.overwrite)
        state.wait_for_everyone()
        metrics = learn(experiment, folder, options.test)
        if state.is_main_process:
            show(metrics, folder)
    if state.use_distributed:
        state.destroy_process_group()


def learn(experiment: Pretrain, folder: Path, test: bool = False) -> dict[str, Any]:
    """Runs or continues the experiment in `folder` and returns its metrics, those of the test days where asked for."""
    enter_looks(experiment, folder.name, "pretrain", ("valid", "test") if test else ("valid",))
    data = prepare(
        Panel.load(experiment.panel),
        experiment.features,
        experiment.scaling,
        experiment.encoder.lookback,
        experiment.label,
        experiment.split,
    )
    rules = rules_of(experiment, data.panel)
    backtest = trading_on(
        data.panel, experiment.label.fill, experiment.portfolio, rules.costs, rules.price_limit, rules.delisting_return
    )
    settings = to_data(experiment)
    run = Experiment(experiment.encoder, data, experiment.optim, experiment.seed, settings, backtest, test=test)
    return pretrain(run, folder)


def rules_of(experiment: Pretrain, panel: Panel) -> MarketRules:
    """Returns the terms on which a run trades its forecasts: those of the panel, but for what it says itself."""
    known = recorded_rules(panel.source) or MarketRules()
    own = known.told(experiment.costs, experiment.price_limit, experiment.delisting_return, experiment.label.fill)
    return replace(own, periods_per_year=panel.periods_per_year)


def enter_looks(experiment: Pretrain, run: str, stage: str, parts: Sequence[Part]) -> None:
    """Counts the looks of a pretraining run at valid or test days beside its panel; the first process does."""
    if init_distributed().is_main_process:
        question = Question.of(experiment.panel, Panel.load(experiment.panel), experiment.split)
        for part in parts:
            question.enter(stage, part, run, to_data(experiment), (experiment.seed,))


def show(metrics: Mapping[str, Any], folder: Path) -> None:
    """Prints the measures of the best checkpoint."""
    table = Table(title=f"{folder} (best epoch {metrics['best_epoch']} of {metrics['n_epochs']})")
    parts = [part for part in PARTS if part in metrics]
    for column in ("measure", *parts):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name in SHOWN:
        table.add_row(name, *(_written(metrics[part][name]) for part in parts))
    table.add_row("rank_ic, 95 % interval", *(_bounds(metrics[part]["rank_ic_ci"]) for part in parts))
    for name in TRADED:
        table.add_row(f"{name}, top-k drop-n", *(_written(metrics[part]["portfolio"][name]) for part in parts))
    for codebook, health in metrics["train"]["codebooks"].items():
        table.add_row(f"codebook {codebook}: codes used in train", f"{health['usage']:.0%}")
    Console().print(table)


def _bounds(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(main)
