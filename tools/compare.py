"""`python -m tools.compare --configs configs/trade/dj30_*_ppo.py`: many runs, one table; `--ablation`: what states add.

Runs that are not trained yet are trained, and runs that are not evaluated yet are evaluated, so this is also the
command that runs a list of configurations.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from configs.files import load_json, load_python
from configs.schema.evaluate import Evaluate
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.pca import PCA
from evaluation.contest import equal_capital
from evaluation.formats import number, percent
from evaluation.report import Chapter
from evaluation.significance import compare, over_seeds
from market.features import Formulas
from market.features.table import Feature
from market.storage import write_json
from tools.cli import plain, run
from tools.evaluate import evaluate
from tools.stages import extracted_states, pretrained_encoder, trained_agents
from tools.trials import METRICS

KINDS: Mapping[str, Mapping[str, Any]] = {
    "learned states": {"observe": "states"},
    "PCA states": {"observe": "states"},
    "raw features": {"observe": "features"},
    "shuffled states": {"observe": "shuffled"},
    "no states": {"observe": "none"},
}
"""What agents of an ablation see; all else is equal, the seeds too."""
CONTROL = "no states"
RETURNS = Formulas((Feature("RET1", "close / delay(close, 1) - 1"),))
COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Options:
    """Trains and evaluates what is not there yet, and prints one table beside buy and hold."""

    configs: tuple[str, ...] = ()
    """Trade configs to run and compare."""
    runs: tuple[str, ...] = ()
    """Directories of trading or pretraining runs to compare."""
    ablation: bool = False
    """Compare agents on learned states, PCA states, raw features, shuffled states and no states."""
    config: str | None = None
    """Trade config of the ablation: the agent, market and seeds that all variants share."""
    pca: str | None = None
    """States file of a PCA encoder for the ablation; if not given it is made of the panel and days of the others."""
    name: str = "comparison"
    """Folder under workdir/evaluate that receives comparison.json; an ablation adds a report."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Evaluate again what has been evaluated."""


def main(argv: Sequence[str]) -> None:
    """Compares runs, or what one agent makes of several kinds of states."""
    options = plain(Options, argv)
    if options.ablation:
        if options.config is None:
            raise ValueError("--ablation varies one run: name it with --config configs/trade/...")
        ablate(load_python(options.config, Trade), options)
        return
    experiments = [load_python(path, Trade) for path in options.configs]
    trained = [trained_agents(one, Path(options.workdir)) for one in experiments]
    folders = [*trained, *map(Path, options.runs)]
    if not folders:
        raise ValueError("nothing to compare: name trade configs with --configs or run directories with --runs")
    encoders = [one for one in folders if (one / METRICS).exists()]  # only pretraining leaves its metrics in its run
    traders = {one.name: evaluated(one, options) for one in folders if one not in encoders}
    result: dict[str, Any] = {}
    if encoders:
        result["forecasts"] = forecast_rows(encoders)
        show("Forecasts", result["forecasts"])
    if traders:
        result["trading"] = [row for name, metrics in traders.items() for row in trading_rows(name, metrics)]
        show("Trading, test days, after costs", result["trading"])
    write_json(Path(options.workdir) / "evaluate" / options.name / COMPARISON, result)


def evaluated(folder: Path, options: Options) -> dict[str, Any]:
    """Returns the metrics of a run, which is evaluated where it has not been."""
    target = Path(options.workdir) / "evaluate" / folder.name
    if options.overwrite or not (target / METRICS).exists():
        evaluate({folder.name: [folder]}, folder.name, Evaluate(), target, options.overwrite)
    found: dict[str, Any] = json.loads((target / METRICS).read_text(encoding="utf-8"))
    return found


def trading_rows(name: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns one row for each agent of an evaluation: itself, buy and hold, and the difference."""
    rows = []
    passive = metrics["performance"]["buy_and_hold"]
    for agent, found in metrics["comparisons"].items():
        own, gain = metrics["performance"][agent], found["buy_and_hold"]["sharpe"]
        rows.append(
            {
                "run": name,
                "agent": agent,
                "return a year": percent(own["annual_return"]),
                "Sharpe": _within(own["sharpe"], own["sharpe_ci"]),
                "Sharpe over seeds": _within(own["mean"]["sharpe"], own["ci"]["sharpe"]),
                "deepest loss": percent(own["max_drawdown"]),
                "buy and hold": percent(passive["annual_return"]),
                "its Sharpe": number(passive["sharpe"]),
                "difference": _within(gain["difference"], gain["ci"]),
                "verdict": metrics["verdict"][agent]["word"],
            }
        )
    return rows


def forecast_rows(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Returns one row for each pretraining run and part: the quality of its forecast."""
    rows = []
    for folder in folders:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        for part in ("valid", "test"):
            one = metrics[part]
            rows.append(
                {
                    "run": folder.name,
                    "days": part,
                    "IC": number(one["ic"], 4),
                    "ICIR": number(one["icir"], 3),
                    "rank IC": _within(one["rank_ic"], one["rank_ic_ci"], 4),
                    "rank ICIR": number(one["rank_icir"], 3),
                    "t": number(one["rank_ic_t"]),
                }
            )
    return rows


def ablate(experiment: Trade, options: Options) -> None:
    """Trains the same agent with the same seeds on each kind of states, and compares them on the test days.

    Raises:
        ValueError: The run has no states, or what is there was made by another configuration.
    """
    if experiment.states is None:
        raise ValueError(f"{experiment.name}: it has no states to take away; choose a config with a states file")
    workdir = Path(options.workdir)
    pca = options.pca or pca_states(experiment.states, workdir)
    variants = {kind: variant(experiment, kind, pca) for kind in KINDS}
    folders = [trained_agents(one, workdir) for one in variants.values()]
    target = workdir / "evaluate" / f"{experiment.name}_ablation"
    title = f"What states add: {experiment.name}"
    study = evaluate({experiment.name: folders}, title, Evaluate(), target, options.overwrite, [*variants])
    rows = ablation_rows(study.chapters[0])
    show(f"{title}, {len(experiment.seeds)} seeds, test days, after costs", rows)
    write_json(target / COMPARISON, {"ablation": rows})
    print(f"wrote {target / 'report.html'}")


def pca_states(states: str, workdir: Path) -> str:
    """Returns the file of PCA states of the same panel, days and label as `states`.

    Raises:
        ValueError: The pretraining run behind `states` is not at hand.
    """
    record = Path(states).with_name("config.json")
    if not record.exists():
        raise ValueError(
            f"{record}: no such file, so nothing says how the states were made; name PCA states with --pca"
        )
    source = Path(json.loads(record.read_text(encoding="utf-8"))["run"])
    learnt = load_json(source / "config.json", Pretrain)
    linear = replace(learnt, name=f"{learnt.name}_pca", encoder=PCA(), features=RETURNS)
    pretrained_encoder(linear, workdir)
    return str(extracted_states(linear, workdir))


def variant(experiment: Trade, kind: str, pca: str) -> Trade:
    """Returns the run that differs from `experiment` in what is seen alone."""
    changes = dict(KINDS[kind])
    if kind == "PCA states":
        changes["states"] = pca
    return replace(experiment, name=f"{experiment.name}_{kind.lower().replace(' ', '_')}", **changes)


def ablation_rows(chapter: Chapter) -> list[dict[str, Any]]:
    """Returns one row for each kind of states: Sharpe ratio with intervals over days and seeds, and what it adds.

    The difference from the agent without states is paired twice: over days by the bootstrap of the equal-capital
    accounts, and over seeds by the interval of the mean of the differences, seed by seed.
    """
    rows = []
    agents = chapter.contest.agents
    control = agents[CONTROL]
    nothing = equal_capital(control, CONTROL)
    for name, seeds in agents.items():
        own = chapter.metrics["performance"][name]
        path = equal_capital(seeds, name)
        gain = compare(path.returns, nothing.returns)
        each = [
            None if one is None or other is None else one - other
            for one, other in zip(_sharpes(chapter, name), _sharpes(chapter, CONTROL), strict=True)
        ]
        paired = over_seeds(each)
        rows.append(
            {
                "agent sees": name,
                "return a year": percent(own["annual_return"]),
                "Sharpe, days": _within(own["sharpe"], own["sharpe_ci"]),
                "Sharpe, seeds": _within(own["mean"]["sharpe"], own["ci"]["sharpe"]),
                "turnover a day": percent(own["turnover"]),
                "more than without, days": "–" if name == CONTROL else _within(gain.difference, gain.interval),
                "more than without, seeds": "–" if name == CONTROL else _within(paired["mean"], paired["ci"]),
            }
        )
    return rows


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with the same keys as a table."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="left" if column in ("run", "agent", "agent sees", "days") else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    Console().print(table)


def _sharpes(chapter: Chapter, name: str) -> list[float | None]:
    return [one["sharpe"] for one in chapter.metrics["performance"][name]["seeds"].values()]


def _within(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    if interval is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(interval[0], digits)}, {number(interval[1], digits)}]"


if __name__ == "__main__":
    run(main)
