"""The worth of states: one agent with the same seeds on learned, PCA, shuffled and no states, and on raw features."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.files import load_json, refuse_untrusted
from configs.schema.evaluate import Evaluate
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.baselines.pca import PCA
from evaluation.formats import bar_name, percent, within
from evaluation.policy_comparison import equal_capital
from evaluation.reports.policy import Section
from evaluation.significance import compare, over_seeds
from market.artifacts import COMPARISON, CONFIG
from market.features import Formulas
from market.features.table import Feature
from market.storage.array_file import read_json, write_json
from pipeline.agent_comparison import train_all
from pipeline.evaluation import evaluate
from pipeline.extraction import extract
from pipeline.jobs.engine import HERE, Engine
from pipeline.pretraining import pretrain
from pipeline.results import SILENT, AblationResult, Observer

KINDS: Mapping[str, Mapping[str, Any]] = {
    "states and forecast": {"observe": "states+forecast"},
    "learned states": {"observe": "states"},
    "forecast": {"observe": "forecast"},
    "PCA states": {"observe": "states"},
    "raw features": {"observe": "features"},
    "shuffled states": {"observe": "shuffled"},
    "no states": {"observe": "none"},
}
"""Observations of the agents of an ablation; all else is equal, the seeds too."""
CONTROL = "no states"
RETURNS = Formulas((Feature("RET1", "close / delay(close, 1) - 1"),))


def ablate(
    experiment: Trade,
    settings: Evaluate | None = None,
    workdir: str | Path = "workdir",
    pca: str | None = None,
    overwrite: bool = False,
    observer: Observer = SILENT,
    engine: Engine = HERE,
) -> AblationResult:
    """Trains the same agent with the same seeds on each kind of states, and compares them on the test days.

    Args:
        experiment: The agent, market and seeds that all variants share.
        settings: How to evaluate.
        workdir: Where the artifacts of all stages live.
        pca: States file of a PCA encoder; None makes one of the panel and days of the others.
        overwrite: Evaluate again what has been evaluated.
        observer: Follows from outside.
        engine: Where agents are trained.

    Returns:
        One row for each kind, and the folder that received ``report.html`` and ``comparison.json``.

    Raises:
        ValueError: The run has no states, or what is there was made by another configuration; or its config holds a
            class of a package that is not trusted, which is said before anything is trained.
    """
    refuse_untrusted(experiment, experiment.name)  # its variants are opened again once they are trained
    if experiment.states is None:
        raise ValueError(f"{experiment.name}: it has no states to take away; choose a config with a states file")
    pca = pca or pca_states(experiment.states, workdir, observer)
    variants = {kind: variant(experiment, kind, pca) for kind in KINDS}
    folders = train_all([*variants.values()], (), workdir, observer, engine)
    name, silent = f"{experiment.name}_ablation", replace(observer, finished=SILENT.finished)
    evidence = evaluate(
        {experiment.name: folders}, settings, workdir, overwrite, name, title(experiment), [*variants], silent
    )
    rows = ablation_rows(evidence.report.sections[0])
    write_json(evidence.folder / COMPARISON, {"ablation": rows})
    result = AblationResult(evidence.folder, f"{title(experiment)}, {len(experiment.seeds)} seeds", rows)
    observer.finished(result)
    return result


def title(experiment: Trade) -> str:
    """Returns the heading of an ablation."""
    return f"What states add: {experiment.name}"


def pca_states(states: str, workdir: str | Path, observer: Observer = SILENT) -> str:
    """Returns the file of PCA states of the same panel, days and label as `states`.

    Raises:
        ValueError: The pretraining run behind `states` is not at hand.
    """
    record = Path(states).with_name(CONFIG)
    if not record.exists():
        raise ValueError(
            f"{record}: no such file, so nothing says how the states were made; name PCA states with --pca"
        )
    source = Path(read_json(record)["run"])
    learnt = load_json(source / CONFIG, Pretrain)
    linear = replace(learnt, name=f"{learnt.name}_pca", encoder=PCA(), features=RETURNS)
    trained = pretrain(linear, workdir, reuse=True, observer=observer)
    return str(extract(trained.folder, workdir=workdir, reuse=True, observer=observer).path)


def variant(experiment: Trade, kind: str, pca: str) -> Trade:
    """Returns the run that differs from `experiment` in what is seen alone."""
    changes = dict(KINDS[kind])
    if kind == "PCA states":
        changes["states"] = pca
    return replace(experiment, name=f"{experiment.name}_{kind.lower().replace(' ', '_')}", **changes)


def ablation_rows(section: Section) -> list[dict[str, Any]]:
    """Returns one row for each kind of states: Sharpe ratio with intervals over days and seeds, and what it adds.

    The difference from the agent without states is paired twice: over days by the bootstrap of the equal-capital
    accounts, and over seeds by the interval of the mean of the differences, seed by seed.
    """
    rows = []
    agents = section.comparison.agents
    control = agents[CONTROL]
    nothing = equal_capital(control, CONTROL)
    for name, seeds in agents.items():
        own = section.metrics["performance"][name]
        path = equal_capital(seeds, name)
        gain = compare(path.returns, nothing.returns, periods_per_year=path.periods_per_year)
        each = [
            None if one is None or other is None else one - other
            for one, other in zip(_sharpes(section, name), _sharpes(section, CONTROL), strict=True)
        ]
        paired = over_seeds(each)
        rows.append(
            {
                "agent sees": name,
                "return a year": percent(own["annual_return"]),
                "Sharpe, days": within(own["sharpe"], own["sharpe_ci"]),
                "Sharpe, seeds": within(own["mean"]["sharpe"], own["ci"]["sharpe"]),
                f"turnover a {bar_name(path.periods_per_year)}": percent(own["turnover"]),
                "more than without, days": "–" if name == CONTROL else within(gain.difference, gain.interval),
                "more than without, seeds": "–" if name == CONTROL else within(paired["mean"], paired["ci"]),
            }
        )
    return rows


def _sharpes(section: Section, name: str) -> list[float | None]:
    return [one["sharpe"] for one in section.metrics["performance"][name]["seeds"].values()]
