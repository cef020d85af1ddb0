"""Encoders side by side: the same panel, days, label and seeds, judged by their forecasts and by trading on them."""

import json
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
from evaluation.encoder_comparison import Forecaster, SeedForecast, measured
from evaluation.formats import number, percent
from evaluation.reports.encoders import report
from market.forecasts import FORECASTS, ForecastRecord
from market.panel import Panel
from market.storage.array_file import read_json, write_text
from market.storage.json_diff import first_difference
from tools.console import within
from tools.pretrain import RESULT
from tools.runs.forecast_trading import traded
from tools.runs.stages import pretrained_encoder

SHARED = ("panel", "split", "label", "portfolio", "costs", "price_limit")
"""What runs must have in common for their forecasts to answer the same question."""
REPORT = "report.html"
_SEED = re.compile(r"_seed_(\d+)$")


def trained_encoders(experiments: Sequence[Pretrain], seeds: Sequence[int], workdir: Path) -> list[Path]:
    """Trains every encoder with every seed unless that is done, and returns the directories of the runs.

    Each seed of ``name`` is an ordinary run ``name_seed_0``, ... Without seeds each config runs as it stands. Finished
    runs are left alone; an interrupted one continues. First stages are trained before the second ones that name them.

    Raises:
        ValueError: The experiments do not ask the same question, or a directory holds a run of another configuration.
    """
    refuse_other_questions(experiments)
    runs = [one for experiment in experiments for one in (seeded(experiment, seeds) if seeds else [experiment])]
    folders = {
        one.name: pretrained_encoder(one, workdir)
        for one in sorted(runs, key=lambda run: isinstance(run.encoder, SecondStage))
    }
    return [folders[one.name] for one in runs]


def seeded(experiment: Pretrain, seeds: Sequence[int]) -> list[Pretrain]:
    """Returns the run of each seed; a second stage follows the first stage's run of the same seed."""
    runs = []
    for seed in seeds:
        encoder = experiment.encoder
        encoder = encoder.of_seed(seed) if isinstance(encoder, SecondStage) else encoder
        runs.append(replace(experiment, name=f"{experiment.name}_seed_{seed}", seed=seed, encoder=encoder))
    return runs


def compare_encoders(folders: Sequence[Path], target: Path, reference: str | None, title: str) -> dict[str, Any]:
    """Judges finished pretraining runs, writes ``report.html`` into `target`, and returns what was measured.

    Runs whose names differ in ``_seed_<k>`` alone are the seeds of one encoder.

    Args:
        folders: Run directories.
        target: Receives the report.
        reference: Encoder that the others are paired with, named without its seed; None for no pairing.
        title: Heading of the report.

    Raises:
        ValueError: A run is not finished, was judged on another question or by an older version, or nothing is called
            `reference`.
    """
    experiments = [_finished(folder) for folder in folders]
    refuse_other_questions(experiments)
    names = [base_name(folder.name) for folder in folders]
    refuse_unknown(reference, names)
    panel, shared = Panel.load(experiments[0].panel), experiments[0]
    returns = shared.label.judged.compute(panel)
    judged = [judge(folder, one, panel, returns) for folder, one in zip(folders, experiments, strict=True)]
    forecasters = [
        Forecaster(name, tuple(run for owner, run in zip(names, judged, strict=True) if owner == name))
        for name in dict.fromkeys(names)
    ]
    result = measured(forecasters, reference, shared.label.horizon)
    facts = (
        ("panel", f"{shared.panel}, {len(panel.assets)} assets"),
        *((part, " to ".join(getattr(shared.split, part))) for part in ("train", "valid", "test")),
        ("label", f"{shared.label.fill}, {shared.label.horizon} day(s)"),
        ("costs", json.dumps(to_data(shared.costs))),
        ("price limit", "none" if shared.price_limit is None else f"{shared.price_limit:.0%}"),
        ("runs", ", ".join(str(folder) for folder in folders)),
    )
    write_text(target / REPORT, report(title, result, forecasters, facts))
    return result


def judge(folder: Path, experiment: Pretrain, panel: Panel, returns: Any) -> SeedForecast:
    """Returns what one finished run forecast and what trading on it earned on the test days."""
    record = ForecastRecord.load(folder / FORECASTS)
    try:
        forecasts = record.over(panel)
    except ValueError as error:
        raise ValueError(f"{folder / FORECASTS}: {error}") from None
    start = int(panel.dates.searchsorted(record.dates[0]))
    parts = {name: slice(start + rows.start, start + rows.stop) for name, rows in record.parts.items()}
    metrics = read_json(folder / RESULT)
    trading = (experiment.label.fill, experiment.costs, experiment.price_limit)
    paths = {
        kind: traded(panel, trading[0], rule, *trading[1:], forecasts.mean, parts["test"])
        for kind, rule in (("top-k drop-n", experiment.portfolio), ("long-short", LongShortQuantiles()))
    }
    return SeedForecast(
        folder.name, panel.dates, forecasts.mean, returns, forecasts.mask, parts, paths, metrics["train"]["codebooks"]
    )


def forecast_rows(result: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    """Returns one row for each encoder: how good its forecasts of a part are, with intervals over days and seeds."""
    rows = []
    for name, one in result["encoders"].items():
        found = one[part]
        row = {
            "encoder": name,
            "seeds": one["n_seeds"],
            "IC": number(found["ic"], 4),
            "ICIR": number(found["icir"], 3),
            "rank IC, days": within(found["rank_ic"], found["rank_ic_ci"], 4),
            "rank IC, seeds": within(found["rank_ic"], found["rank_ic_seeds_ci"], 4),
            "rank ICIR": number(found["rank_icir"], 3),
        }
        if result["reference"] is not None:
            row |= _paired(found["against"], f"rank IC less {result['reference']}", 4)
        row["codes used"] = ", ".join(percent(book["usage"], 0) for book in one["codebooks"].values()) or "–"
        rows.append(row)
    return rows


def trading_rows(result: Mapping[str, Any], rule: str) -> list[dict[str, Any]]:
    """Returns one row for each encoder: what trading on its forecasts earned on the test days, after costs."""
    rows = []
    for name, one in result["encoders"].items():
        found = one["trading"][rule]
        row = {
            "encoder": name,
            "return a year": percent(found["annual_return"]),
            "Sharpe, days": within(found["sharpe"], found["sharpe_ci"]),
            "Sharpe, seeds": within(found["mean"]["sharpe"], found["seeds_ci"]["sharpe"]),
            "deepest loss": percent(found["max_drawdown"]),
            "turnover a day": percent(found["turnover"]),
        }
        if result["reference"] is not None:
            row |= _paired(found["against"], f"Sharpe less {result['reference']}", 2)
        rows.append(row)
    return rows


def _paired(found: Mapping[str, Any] | None, words: str, digits: int) -> dict[str, str]:
    if found is None:
        return {words: "–", "p": "–"}
    return {words: within(found["difference"], found["ci"], digits), "p": number(found["p_value"], 3)}


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
    first = experiments[0]
    for one in experiments[1:]:
        for field in SHARED:
            own, other = ({field: to_data(_question(run, field))} for run in (one, first))
            differing = first_difference(other, own)
            if differing:
                raise ValueError(
                    f"{one.name}: only runs on the same question can be compared, but {first.name} has {differing}"
                )


def _question(experiment: Pretrain, field: str) -> Any:
    value = getattr(experiment, field)
    return value.judged if field == "label" else value  # how a loss sees the return is its own affair


def _finished(folder: Path) -> Pretrain:
    if not (folder / RESULT).exists():
        raise ValueError(
            f"{folder}: no finished pretraining run; train it with tools.pretrain, or name it in --configs"
        )
    if not (folder / FORECASTS).exists():
        raise ValueError(f"{folder}: it kept no {FORECASTS}, so its days cannot be compared; run it again")
    return load_json(folder / "config.json", Pretrain)
