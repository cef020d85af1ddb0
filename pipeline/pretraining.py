"""The stage that trains an encoder: a panel to a checkpoint, its forecasts and their measures."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

import configs
from agents.baselines.simple import TopKDropN
from configs.paths import located
from configs.schema.pretrain import Pretrain
from configs.values import to_data, upgraded
from encoders import data as encoder_pipeline
from encoders.baselines.closed_form import ClosedForm
from encoders.checkpoint import Checkpoint
from encoders.data import TrainingData
from encoders.states.inputs import ProvenInputs, inputs_fingerprint, inputs_record
from encoders.training import loop as training
from encoders.training.launch import init_distributed
from envs.rules import MarketRules, recorded_rules
from market.artifacts import AUDIT, FEATURES, METRICS, MODEL
from market.curves import CurveLog
from market.features.health import health_json
from market.panel import Panel
from market.splits import PARTS
from market.storage.array_file import read_json, write_json
from market.storage.ledger import Part
from pipeline.early_columns import warn_of_early_columns
from pipeline.first_pass import run_new_encoder
from pipeline.forecast_trading import portfolio_measures
from pipeline.results import SILENT, Observer, PretrainResult
from pipeline.run_directory import begin, is_finished, lock, pretrain_folder
from pipeline.trackers import tracked
from pipeline.trial_count import Question

logger = logging.getLogger(__name__)


def pretrain(
    experiment: Pretrain,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    reuse: bool = False,
    observer: Observer = SILENT,
    test: bool = False,
    until: np.datetime64 | None = None,
    proven: ProvenInputs | None = None,
    trackers: Sequence[str] = (),
) -> PretrainResult:
    """Trains one encoder in ``workdir/pretrain/<name>/``; an interrupted run continues where it stopped.

    Where a launcher started several processes, all of them call this function; the first one writes.

    Args:
        experiment: What decides the run.
        workdir: Where the artifacts of all stages live.
        overwrite: Throw away a run that is already there, finished or not.
        reuse: Return a finished run of this very experiment instead of refusing to run it again.
        observer: Follows from outside; told of the result in the first process only.
        test: Evaluate the best checkpoint on the test days too; each such look is counted beside the panel.
        until: Last day that may be known. The panel is cut after it, so the run is the same whenever it is made, and
            the test days of the split are not evaluated. None knows the whole panel.
        proven: Inputs that were audited before; where the run learns from those, they are not audited again.
        trackers: Trackers that show the run beside TensorBoard (`pipeline.trackers`).

    Raises:
        ValueError: Another process works on the run, it is finished and neither to be overwritten nor reused, or it
            was started with another configuration.
    """
    experiment = located(experiment, workdir)
    folder = pretrain_folder(workdir, experiment.name)
    _refuse_missing_panel(experiment.panel)
    if reuse and not overwrite and is_finished(folder, experiment, METRICS):
        result = PretrainResult(folder, read_json(folder / METRICS), fresh=False)
        observer.finished(result)
        return result
    state = init_distributed()
    with lock(folder) if state.is_main_process else nullcontext():
        if state.is_main_process:
            begin(folder, experiment, METRICS, overwrite)
        state.wait_for_everyone()
        with tracked(trackers, folder, f"pretrain {experiment.name}") as curves:
            result = PretrainResult(folder, _learn(experiment, folder, test, until, proven, curves))
        if state.is_main_process:
            observer.finished(result)
    return result


def leave_process_group() -> None:
    """Ends the group of processes that a launcher started, so that a program may exit; alone it does nothing."""
    state = PartialState()
    if state.use_distributed:
        state.destroy_process_group()


def rules_of(experiment: Pretrain, panel: Panel) -> MarketRules:
    """Returns the terms on which a run trades its forecasts: those of the panel, but for what it says itself."""
    known = recorded_rules(panel.source) or MarketRules()
    own = known.override(experiment.costs, experiment.price_limit, experiment.delisting_return, experiment.label.fill)
    return replace(own, periods_per_year=panel.periods_per_year)


def enter_looks(experiment: Pretrain, run: str, stage: str, parts: Sequence[Part], command: str | None = None) -> None:
    """Counts the looks of a pretraining run at valid or test days beside its panel; the first process does."""
    if init_distributed().is_main_process:
        question = Question.of(experiment.panel, Panel.load(experiment.panel), experiment.split)
        for part in parts:
            question.enter(stage, part, run, to_data(experiment), (experiment.seed,), command)


def write_inputs(data: TrainingData, folder: Path, proven: ProvenInputs | None = None) -> None:
    """Writes the health of the features and the audit of them, unless an interrupted run has done so; one process does.

    Raises:
        AuditError: They see the future, or cannot be shown not to.
    """
    if init_distributed().is_main_process:
        write_json(folder / FEATURES, health_json(data.health))
        path, now = folder / AUDIT, inputs_fingerprint(data.store)
        if not path.exists() or read_json(path).get("inputs_fingerprint") != now:
            write_json(path, inputs_record(data.pipeline, data.panel, data.store, proven))


def _learn(
    experiment: Pretrain,
    folder: Path,
    test: bool,
    until: np.datetime64 | None,
    proven: ProvenInputs | None,
    curves: CurveLog,
) -> dict[str, Any]:
    enter_looks(experiment, folder.name, "pretrain", ("valid", "test") if test else ("valid",))
    panel = Panel.load(experiment.panel)
    data = encoder_pipeline.prepare(
        panel if until is None else panel.between(None, str(until)),
        experiment.features,
        experiment.scaling,
        experiment.encoder.lookback,
        experiment.label,
        experiment.split,
        PARTS if until is None else PARTS[:2],
    )
    if not isinstance(experiment.encoder, ClosedForm):  # that is fitted first, in a moment
        run_new_encoder(experiment.encoder, data)
    write_inputs(data, folder, proven)
    if init_distributed().is_main_process:
        warn_of_early_columns(data)
    if until is None and init_distributed().is_main_process:
        _warn_of_wide_portfolio(experiment.portfolio, len(data.panel.assets))
    rules = rules_of(experiment, data.panel)
    terms = (rules.costs, rules.price_limit, rules.delisting_return)
    backtest = portfolio_measures(data.panel, experiment.label.fill, experiment.portfolio, *terms)
    settings = to_data(experiment)
    run = training.Experiment(
        experiment.encoder,
        data,
        experiment.optim,
        experiment.seed,
        settings,
        backtest,
        first_weights=_first_weights(experiment, data),
        test=test and until is None,
        upgraded=upgraded,
        curves=curves,
    )
    return training.pretrain(run, folder)


def _refuse_missing_panel(path: str) -> None:
    if not Path(path).is_file():
        known = f"{Path(path).parent.name}.py"
        name = known if (Path(configs.__file__).parent / "prepare" / known).is_file() else "..."
        raise ValueError(
            f"{path}: no such file; make it with factorgym prepare --config configs/prepare/{name} or correct the path"
        )


def _warn_of_wide_portfolio(portfolio: TopKDropN, n_assets: int) -> None:
    if portfolio.k >= n_assets > 1:
        logger.warning(
            "portfolio: k = %d of %d assets holds every asset, so its figures say nothing of the forecast; choose a "
            "smaller --portfolio.k",
            portfolio.k,
            n_assets,
        )


def _first_weights(experiment: Pretrain, data: encoder_pipeline.TrainingData) -> Checkpoint | None:
    """Returns the checkpoint that training starts from.

    Raises:
        ValueError: There is none, or it learnt from days that this run must not know.
    """
    if experiment.warm_start is None:
        return None
    path = Path(experiment.warm_start) / MODEL
    checkpoint = Checkpoint.load(path)
    if np.datetime64(checkpoint.about["fit_end"], "D") > data.fit_end:
        raise ValueError(
            f"{path}: it learnt from days until {checkpoint.about['fit_end']}, this run until {data.fit_end}; "
            "start from an earlier fit"
        )
    return checkpoint
