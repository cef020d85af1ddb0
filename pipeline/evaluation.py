"""The stage that evaluates trained agents: runs to evidence on their test days, and a page."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from configs.schema.evaluate import Evaluate
from configs.values import to_data
from evaluation.backtest import Backtest
from evaluation.formats import listed
from evaluation.policy_comparison import PolicyComparison
from evaluation.reports.policy import PolicyReport, Section, report
from market.artifacts import ACCOUNTS, BACKTEST, METRICS, POLICIES, REPORT
from market.storage.array_file import atomic_write, read_json, write_json, write_text
from market.storage.ledger import new_command
from pipeline.control_markets import question_of
from pipeline.evaluation_settings import record_of, refuse_other_settings
from pipeline.exports import file_name
from pipeline.known_optimum import known_optimum, simulated_market
from pipeline.policy_comparison import measure_comparison, run_comparison
from pipeline.results import SILENT, EvaluateResult, Observer
from pipeline.run_directory import evaluate_folder, lock
from pipeline.trained_run import TrainedRun, open_run, run_fingerprint
from pipeline.trial_count import looks_so_far, other_trials

logger = logging.getLogger(__name__)


def evaluate(
    runs: str | Path | Mapping[str, Sequence[Path]],
    settings: Evaluate | None = None,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    name: str | None = None,
    title: str | None = None,
    labels: Sequence[str] = (),
    observer: Observer = SILENT,
) -> EvaluateResult:
    """Trades the test days of finished runs and writes the evidence into ``workdir/evaluate/<name>/``.

    The folder receives ``report.html``, ``backtest.parquet``, ``accounts/``, ``policies.parquet`` and, last,
    ``metrics.json``.

    Args:
        runs: Directory of a trading run; or runs that share a market, by a name for it: each group becomes a section.
        settings: How to evaluate.
        workdir: Where the artifacts of all stages live.
        overwrite: Look at the test days again; the report then says how often they were looked at.
        name: Folder under ``workdir/evaluate``; the name of the run by default, of the first group where several are
            given.
        title: Heading of the report; the name by default.
        labels: Names of the runs of a group in tables; by default their algorithms, or the runs where those are alike.
        observer: Follows from outside.

    Raises:
        ValueError: There is an evaluation already, or a run cannot be evaluated; see `open_run`.
    """
    settings = settings or Evaluate()
    groups = runs if isinstance(runs, Mapping) else {Path(runs).resolve().name: [Path(runs)]}  # "." has a name too
    name = name or next(iter(groups))
    folder = evaluate_folder(workdir, name)
    with lock(folder):
        looks = looks_so_far(folder)
        _refuse_second_look(folder, looks, overwrite)
        opened = {group: [open_run(path) for path in paths] for group, paths in groups.items()}
        looks, command = _enter_looks(opened, looks)
        sections = tuple(_section(group, found, settings, looks, labels, observer) for group, found in opened.items())
        study = _study(title or name, [one for found in opened.values() for one in found], sections)
        _write(study, folder)
        _enter_results(sections, opened, command)
    result = EvaluateResult(folder, study)
    observer.finished(result)
    return result


def metrics_of(
    folder: Path, settings: Evaluate | None, workdir: str | Path, overwrite: bool, observer: Observer = SILENT
) -> dict[str, Any]:
    """Returns the metrics of a run, which is evaluated where it has not been, or has changed since.

    Args:
        folder: Directory of the run.
        settings: How it is to be evaluated; None takes an evaluation as it was made, and makes one by default.
        workdir: Where the artifacts of all stages live.
        overwrite: Evaluate it again.
        observer: Follows from outside.

    Raises:
        ValueError: It was evaluated in another way than `settings` say, and is not to be evaluated again.
    """
    target = evaluate_folder(workdir, folder.name)
    done = (target / METRICS).exists()
    if done and not overwrite and read_json(target / METRICS).get("fingerprint") != run_fingerprint(folder):
        logger.warning("%s has changed since it was evaluated: its test days are looked at again, and counted", folder)
        overwrite = True
    if overwrite or not done:
        silent = replace(observer, finished=SILENT.finished)  # the comparison has a table of its own
        evaluate({folder.name: [folder]}, settings, workdir, overwrite, observer=silent)
    elif settings is not None:
        refuse_other_settings(target / METRICS, settings)
    found: dict[str, Any] = read_json(target / METRICS)
    return found


def _refuse_second_look(folder: Path, looks: int, overwrite: bool) -> None:
    if looks and not overwrite:
        raise ValueError(
            f"{folder / METRICS}: the test days have been evaluated; --overwrite looks at them again and says so"
        )


def _section(
    title: str,
    runs: Sequence[TrainedRun],
    settings: Evaluate,
    looks: int,
    labels: Sequence[str],
    observer: Observer,
) -> Section:
    tried = other_trials(question_of(runs[0].experiment), [one.folder for one in runs], settings.other_trials)
    forecast = runs[0].forecast()
    prediction = {} if forecast is None else forecast.metrics(settings.seed)
    description: dict[str, Any] = runs[0].description() | {"looks": looks} | prediction
    description["settings"] = record_of(settings, description["test_days"])
    description["trials"] = {
        "seeds": sum(len(one.experiment.seeds) for one in runs),
        "configurations": len(runs) + tried.configurations,
        "others": tried.sharpes,
        "runs": tried.runs,
    }
    agents = [one.agent for one in runs]
    names = labels or (agents if len(set(agents)) == len(agents) else [one.folder.name for one in runs])
    candidates = [one.candidate(name) for one, name in zip(runs, names, strict=True)]
    comparison = run_comparison(runs[0].market, candidates, settings, observer.track)
    description |= _known_optimum(runs[0], comparison)
    section = measure_comparison(title, comparison, settings, description, tried)
    return replace(section, forecast=forecast, audit=runs[0].audit())


def _known_optimum(run: TrainedRun, comparison: PolicyComparison) -> dict[str, Any]:
    """Returns how near the agents came to the best that can be known, where the market was simulated."""
    source, market = simulated_market(run.sources.panel), run.market
    if source is None or market.tape.n_assets == 1:
        return {}
    found = known_optimum(source, market.tape, market.costs, comparison)
    return {} if found is None else {"known_optimum": found.to_json()}


def _enter_looks(groups: Mapping[str, Sequence[TrainedRun]], known: int) -> tuple[int, str]:
    """Counts this look at the test days before it is taken; returns the number of looks with it, and its name."""
    for runs in groups.values():
        _refuse_other_markets(runs)
    looks = max([known, *(question_of(runs[0].experiment).test_looks() for runs in groups.values())])
    command = new_command()
    for one in (one for runs in groups.values() for one in runs):
        config, seeds = to_data(one.experiment), one.experiment.seeds
        question_of(one.experiment).enter("evaluate", "test", one.folder.name, config, seeds, command)
    return looks + 1, command


def _enter_results(sections: Sequence[Section], groups: Mapping[str, Sequence[TrainedRun]], command: str) -> None:
    """Notes the Sharpe ratio of each training on the test days, for the evaluations of other runs."""
    for section, runs in zip(sections, groups.values(), strict=True):
        for one, name in zip(runs, section.comparison.agents, strict=True):
            found = section.metrics["performance"][name]["seeds"]
            sharpes = {seed: found[f"seed_{seed}"]["sharpe"] for seed in one.experiment.seeds}
            config = to_data(one.experiment)
            question_of(one.experiment).enter_sharpes(one.folder.name, config, sharpes, command)


def _study(title: str, runs: Sequence[TrainedRun], sections: tuple[Section, ...]) -> PolicyReport:
    return PolicyReport(
        title=title,
        lead="; ".join(_traded(runs))
        + ". All agents were trained on earlier days; this page is about the test days alone.",
        facts=tuple(fact for one in runs for fact in one.facts()),
        sections=sections,
        config="\n".join(one.config() for one in runs),
    )


def _traded(runs: Sequence[TrainedRun]) -> list[str]:
    """Returns who trades what on which test days, a text for each market."""
    agents: dict[tuple[str, str], list[str]] = {}
    for one in runs:
        dates = one.market.tape.dates
        title = one.title if simulated_market(one.sources.panel) is None else f"{one.title} simulated assets"
        agents.setdefault((title, f"{dates[0]} to {dates[-1]}"), []).append(one.agent)
    return [f"{listed(list(dict.fromkeys(who)))} on {title}, test days {days}" for (title, days), who in agents.items()]


def _refuse_other_markets(runs: Sequence[TrainedRun]) -> None:
    first = runs[0].description()
    for one in runs[1:]:
        other = one.description()
        for name in ("panel_fingerprint", "asset", "test_days", "market_rules"):
            if other[name] != first[name]:
                raise ValueError(
                    f"{one.folder}: its {name} is {other[name]}, that of {runs[0].folder} is {first[name]}; "
                    "only runs on the same market can be compared"
                )


def _write(study: PolicyReport, folder: Path) -> None:
    """Writes the files of an evaluation, the metrics last.

    ``backtest.parquet`` is the first agent's account in full, ``accounts/`` has that of every agent and seed;
    ``policies.parquet`` has the daily returns of everyone, a column each.
    """
    first = study.sections[0]
    agents = list(first.comparison.agents)
    first.comparison.everyone[agents[0]].save(folder / BACKTEST)
    columns: dict[str, pd.Series[float]] = {}
    for one in study.sections:
        prefix = f"{one.title}: " if len(study.sections) > 1 else ""
        columns |= {f"{prefix}{name}": _series(path) for name, path in one.comparison.everyone.items()}
        for name, seeds in one.comparison.agents.items():
            columns |= {f"{prefix}{name}/{seed.name}": _series(seed) for seed in seeds}
    _write_accounts(study.sections, folder / ACCOUNTS)
    with atomic_write(folder / POLICIES) as aside:
        pd.DataFrame(columns).rename_axis("date").to_parquet(aside)
    write_text(folder / REPORT, report(study))
    metrics: dict[str, Any] = dict(first.metrics)
    if len(study.sections) > 1:
        metrics = {"chapters": {one.title: one.metrics for one in study.sections}}
    write_json(folder / METRICS, metrics)


def _write_accounts(sections: Sequence[Section], folder: Path) -> None:
    """Writes the account of every agent, of each of its seeds, and of their mean; what was there before is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    for one in sections:
        place = folder / file_name(one.title) if len(sections) > 1 else folder
        for name, seeds in one.comparison.agents.items():
            mean = one.comparison.means.get(name)
            paths = [one.comparison.everyone[name], *([] if mean is None else [mean])]
            paths += [seed.renamed(f"{name} {seed.name}") for seed in seeds] if len(seeds) > 1 else []
            for path in paths:
                path.save(place / f"{file_name(path.name)}.parquet")


def _series(path: Backtest) -> "pd.Series[float]":
    return pd.Series(path.returns, index=pd.DatetimeIndex(path.dates))
