"""Encoders side by side: the same panel, days, label and seeds, compared by their forecasts and by trading on them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agents.baselines.simple import LongShortQuantiles
from configs.files import load_json
from configs.schema.pretrain import Pretrain
from configs.values import to_data
from encoders.training.hooks import SecondStage
from envs import Tape
from evaluation.backtest import Backtest
from evaluation.encoder_comparison import Forecaster, SeedForecast, measured
from evaluation.reports.encoders import report
from evaluation.terms import terms
from market.artifacts import CONFIG, FORECASTS, METRICS, REPORT
from market.forecasts import ForecastRecord
from market.panel import Panel
from market.storage.array_file import read_json, write_text
from market.storage.json_diff import first_difference
from market.storage.ledger import new_command
from pipeline.differences import by_name, differing_fields
from pipeline.forecast_trading import trade_forecast
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job, connected
from pipeline.jobs.stages import PretrainJob
from pipeline.pretraining import enter_looks, rules_of
from pipeline.reference_policies import EvaluationMarket, classical_backtests, index_backtest, reference_rules
from pipeline.results import SILENT, EncoderComparison, Observer
from pipeline.run_directory import evaluate_folder, pretrain_folder

SHARED = ("panel", "split", "label", "portfolio", "costs", "price_limit", "delisting_return")
"""Settings that runs must share for their forecasts to answer the same question."""
Published = tuple[str | Path, str | None]
"""Panel file of a published index and its name there; None where the file holds only one."""
_SEED = re.compile(r"_seed_(\d+)$")


def pretrain_all(
    experiments: Sequence[Pretrain],
    seeds: Sequence[int],
    workdir: str | Path,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> list[Path]:
    """Trains every encoder with every seed unless that is done, and returns the directories of the runs.

    Each seed of ``name`` is an ordinary run ``name_seed_0``, ... Without seeds each config runs as it stands. Finished
    runs are left alone; an interrupted one continues. First stages are trained before the second ones that name them.

    Raises:
        ValueError: The experiments do not ask the same question, or a directory holds a run of another configuration.
    """
    runs = runs_of(experiments, seeds)
    execute(pretrain_jobs(runs, workdir), engine, observer)
    return [pretrain_folder(workdir, one.name) for one in runs]


def runs_of(experiments: Sequence[Pretrain], seeds: Sequence[int]) -> list[Pretrain]:
    """Returns one run for each seed of each experiment, the experiments themselves where there are no seeds.

    Raises:
        ValueError: The experiments do not ask the same question.
    """
    refuse_other_questions(experiments)
    return [one for experiment in experiments for one in (with_seeds(experiment, seeds) if seeds else [experiment])]


def pretrain_jobs(runs: Sequence[Pretrain], workdir: str | Path) -> list[Job]:
    """Returns the trainings of encoders as jobs; a second stage waits for the first stage that it names."""
    jobs = [PretrainJob(f"pretrain {one.name}", str(workdir), one) for one in runs]
    first_stages_first = sorted(jobs, key=lambda job: isinstance(job.experiment.encoder, SecondStage))
    return [*connected(first_stages_first)]


def with_seeds(experiment: Pretrain, seeds: Sequence[int]) -> list[Pretrain]:
    """Returns the run of each seed; a second stage follows the first stage's run of the same seed."""
    runs = []
    for seed in seeds:
        encoder = experiment.encoder
        encoder = encoder.of_seed(seed) if isinstance(encoder, SecondStage) else encoder
        runs.append(replace(experiment, name=f"{experiment.name}_seed_{seed}", seed=seed, encoder=encoder))
    return runs


def compare_encoders(
    experiments: Sequence[Pretrain] = (),
    runs: Sequence[str | Path] = (),
    seeds: Sequence[int] = (),
    reference: str | None = None,
    workdir: str | Path = "workdir",
    name: str = "comparison",
    observer: Observer = SILENT,
    engine: Engine = HERE,
    index: str | Path | None = None,
    index_asset: str | None = None,
) -> EncoderComparison:
    """Evaluates encoders side by side by their forecasts and by trading on them, and draws them to ``report.html``.

    Encoders that are not trained yet are trained. Runs whose names differ in ``_seed_<k>`` alone are the seeds of one
    encoder.

    Args:
        experiments: Encoders to compare; they ask the same question.
        runs: Directories of finished pretraining runs to compare with them.
        seeds: Seeds to train every experiment with; by default those that they name.
        reference: Encoder that the others are paired with day by day, named without its seed; None for no pairing.
        workdir: Where the artifacts of all stages live.
        name: Folder under ``workdir/evaluate`` that receives the page.
        observer: Follows from outside.
        engine: Where runs are trained.
        index: Panel file with a published index to set beside trading on the forecasts.
        index_asset: Name of the index in that file; may be left out where it holds only one.

    Raises:
        ValueError: A run is not finished, was evaluated on another question or by an older version, or none is called
            `reference`.
    """
    given = [Path(one) for one in runs]
    refuse_unknown(reference, encoder_names(experiments, given))  # before hours of training
    folders = [*pretrain_all(experiments, seeds, workdir, observer, engine), *given]
    if not folders:
        raise ValueError("compare_encoders: nothing to compare; give experiments or directories of runs")
    target = evaluate_folder(workdir, name)
    candidates = by_name(encoder_names((), folders), [load_json(one / CONFIG, Pretrain) for one in folders])
    differences = differing_fields(candidates)
    published = None if index is None else (index, index_asset)
    measures = _compare(folders, target, reference, name, published, differences)
    result = EncoderComparison(target, measures, differences)
    observer.finished(result)
    return result


def _compare(
    folders: Sequence[Path],
    target: Path,
    reference: str | None,
    title: str,
    index: tuple[str | Path, str | None] | None,
    differences: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
    """Evaluates finished pretraining runs, writes ``report.html`` into `target`, and returns what was measured."""
    experiments = [_finished(folder) for folder in folders]
    refuse_other_questions(experiments)
    names = encoder_names((), folders)
    panel, shared = Panel.load(experiments[0].panel), experiments[0]
    command = new_command()
    for one in experiments:
        enter_looks(one, one.name, "compare", ("test",), command)
    returns = shared.label.plain.compute(panel)
    evaluated = [
        evaluate_forecast(folder, one, panel, returns) for folder, one in zip(folders, experiments, strict=True)
    ]
    forecasters = [
        Forecaster(name, tuple(run for owner, run in zip(names, evaluated, strict=True) if owner == name))
        for name in dict.fromkeys(names)
    ]
    held = held_backtests(shared, panel, evaluated[0].parts["test"], index)
    result = measured(forecasters, reference, shared.label.horizon, beside=held)
    write_text(target / REPORT, report(title, result, forecasters, _facts(shared, panel, folders), differences))
    return result


def _facts(shared: Pretrain, panel: Panel, folders: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    return (
        ("panel", f"{shared.panel}, {len(panel.assets)} assets"),
        *((part, " to ".join(getattr(shared.split, part))) for part in ("train", "valid", "test")),
        ("label", f"{shared.label.fill}, {shared.label.horizon} day(s)"),
        *terms(rules_of(shared, panel)),
        ("runs", ", ".join(str(folder) for folder in folders)),
    )


def evaluate_forecast(folder: Path, experiment: Pretrain, panel: Panel, returns: Any) -> SeedForecast:
    """Returns what one finished run forecast and what trading on it earned on the test days."""
    record = ForecastRecord.load(folder / FORECASTS)
    try:
        forecasts = record.over(panel)
    except ValueError as error:
        raise ValueError(f"{folder / FORECASTS}: {error}") from None
    start = int(panel.dates.searchsorted(record.dates[0]))
    parts = {name: slice(start + rows.start, start + rows.stop) for name, rows in record.parts.items()}
    metrics = read_json(folder / METRICS)
    rules = rules_of(experiment, panel)
    trading = (rules.costs, rules.price_limit, forecasts.mean, parts["test"], rules.delisting_return)
    paths = {
        kind: trade_forecast(panel, experiment.label.fill, rule, *trading)
        for kind, rule in (("top-k drop-n", experiment.portfolio), ("long-short", LongShortQuantiles()))
    }
    return SeedForecast(
        folder.name, panel.dates, forecasts.mean, returns, forecasts.mask, parts, paths, metrics["train"]["codebooks"]
    )


def held_backtests(experiment: Pretrain, panel: Panel, rows: slice, index: Published | None = None) -> list[Backtest]:
    """Returns what the assets of a panel earned without a forecast on some rows, at the costs of an experiment.

    They were bought once, or kept at equal weight; and what a published index earned, where one is given as a file and
    its name in it.

    Raises:
        ValueError: The file lacks the index or does not cover the days.
    """
    rules, dates = rules_of(experiment, panel), panel.dates[rows].astype(str)
    tape = Tape.from_panel(
        panel,
        fill=experiment.label.fill,
        start=dates[0],
        stop=dates[-1],
        price_limit=rules.price_limit,
        delisting_return=rules.delisting_return,
    )
    market = EvaluationMarket(tape, panel, None, rules.costs)
    found = classical_backtests(market, reference_rules(market))
    return found if index is None else [*found, index_backtest(*index, tape)]


def encoder_names(experiments: Sequence[Pretrain], folders: Sequence[Path]) -> list[str]:
    """Returns the name of the encoder of every experiment and of every run directory."""
    return [*(one.name for one in experiments), *(base_name(folder.name) for folder in folders)]


def base_name(name: str) -> str:
    """Returns the name of a run without its seed."""
    return _SEED.sub("", name)


def refuse_unknown(reference: str | None, names: Sequence[str]) -> None:
    """Refuses a reference that is none of the encoders called `names`.

    Raises:
        ValueError: It is not; the message says what was probably meant.
    """
    if reference is not None and reference not in names:
        near = get_close_matches(reference, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(dict.fromkeys(names)) or 'none'}"
        raise ValueError(f"--reference: no encoder is called '{reference}'; {hint}")


def refuse_other_questions(experiments: Sequence[Pretrain]) -> None:
    """Refuses runs that differ in more than how they forecast.

    Raises:
        ValueError: Two of them differ in the panel, the days, the return that is forecast, or how it is traded.
    """
    for one in experiments[1:]:
        first = experiments[0]
        for field in SHARED:
            own, other = ({field: to_data(_question(run, field))} for run in (one, first))
            differing = first_difference(other, own)
            if differing:
                raise ValueError(
                    f"{one.name}: only runs on the same question can be compared, but {first.name} has {differing}"
                )


def _question(experiment: Pretrain, field: str) -> Any:
    value = getattr(experiment, field)
    return value.plain if field == "label" else value  # how a loss sees the return is its own affair


def _finished(folder: Path) -> Pretrain:
    if not (folder / METRICS).exists():
        raise ValueError(
            f"{folder}: no finished pretraining run; train it with tools.pretrain, or name it in --configs"
        )
    if not (folder / FORECASTS).exists():
        raise ValueError(f"{folder}: it kept no {FORECASTS}, so its days cannot be compared; run it again")
    return load_json(folder / CONFIG, Pretrain)
