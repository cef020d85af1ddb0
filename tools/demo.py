"""`make demo`: the whole main job, prices to evidence, on real data that ships with a dependency."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

import pipeline
from market.artifacts import AUDIT, HISTORY, METRICS, MODEL, PANEL, POLICIES, QUALITY, REPORT, STATES
from tools.command import SHOWING, configured, run

if TYPE_CHECKING:
    from configs.schema.demo import Demo, Simulation

CONFIGS = "configs"
DEFAULT = Path(__file__).parent.parent / CONFIGS / "demo.py"

TITLE, SIMULATED = "FactorGym demonstration", "Simulated market"
FILES = (
    (f"data/{{panel}}/{PANEL}", "prices: dates x assets x fields, with masks of what was listed and traded"),
    (f"data/{{panel}}/{QUALITY}", "what was wrong with the raw prices and what was done about it"),
    (f"pretrain/{{encoder}}/{MODEL}", "the encoder: best epoch on the valid days, with its fitted scaler"),
    (f"pretrain/{{encoder}}/{METRICS}", "its forecast on valid and test days, and the use of its codebooks"),
    (f"states/{{encoder}}/{STATES}", "the frozen encoder's view of every day: all that agents see"),
    (f"states/{{encoder}}/{AUDIT}", "the proof that no state depends on the future"),
    ("trade/{trade}/seed_0/policy.safetensors", "a trained agent: the best on the valid days; agent.json describes it"),
    (f"trade/{{trade}}/seed_0/{HISTORY}", "every look at the valid days during its training"),
    (f"evaluate/{{name}}/{METRICS}", "every number of the report"),
    (f"evaluate/{{name}}/{POLICIES}", "daily returns of every policy on the test days"),
    (f"evaluate/{{name}}/{REPORT}", "the report: open it in a browser"),
)


@dataclass(frozen=True)
class Options:
    """Options beside the demonstration."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live; the paths in the configuration lead there."""
    overwrite: bool = False
    """Evaluate again although there is a report."""


@dataclass(frozen=True)
class Headings:
    """Prints how far the job is, above the output of each stage.

    Attributes:
        console: Where to.
        total: Number of stages.
        started: Time at the start, of `time.monotonic`.
    """

    console: Console
    total: int
    started: float

    def show(self, number: int, words: str) -> None:
        """Prints the heading of a stage."""
        line = f"[bold]{number} of {self.total}[/bold]  {words}  [dim]{self.seconds:.0f} s"
        self.console.rule(line, align="left")

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started


def main(argv: Sequence[str]) -> None:
    """Runs every stage that is not finished yet, prints the results and says what each file is for."""
    from configs.schema.demo import Demo

    named = any(argument.split("=")[0] == "--config" for argument in argv)
    argv = list(argv) if named else ["--config", str(DEFAULT), *argv]
    experiment, options = configured(Demo, Options, argv, CONFIGS)
    stages = 4 + len(experiment.trades) + (0 if experiment.simulation is None else 3)
    headings = Headings(Console(), stages, time.monotonic())
    run_stages(experiment, Path(options.workdir), options.overwrite, headings)
    explain(experiment, Path(options.workdir), headings.console)
    headings.console.print(f"Done in {headings.seconds:.0f} s. TensorBoard: tensorboard --logdir {options.workdir}")


def run_stages(experiment: "Demo", workdir: Path, overwrite: bool, headings: Headings) -> None:
    """Runs every stage that is not finished yet."""
    headings.show(1, "prices to a clean panel")
    pipeline.prepare(experiment.prepare, workdir, observer=SHOWING)
    headings.show(2, "panel to a trained encoder")
    encoder = pipeline.pretrain(experiment.pretrain, workdir, reuse=True, observer=SHOWING)
    headings.show(3, "encoder, frozen, to audited states")
    pipeline.extract(encoder.folder, workdir=workdir, reuse=True, observer=SHOWING)
    for number, trade in enumerate(experiment.trades, start=4):
        headings.show(number, f"states to agents: {trade.name}")
        pipeline.train(trade, workdir, reuse=True, observer=SHOWING)
    if experiment.simulation is not None:
        simulate(experiment.simulation, workdir, headings)
    headings.show(headings.total, "agents and classical policies on the test days")
    evaluate_runs(experiment, workdir, overwrite)


def simulate(simulation: "Simulation", workdir: Path, headings: Headings) -> None:
    """Runs the stages of the simulated market that are not finished yet."""
    headings.show(headings.total - 3, "a simulated market whose signal drifts")
    pipeline.prepare(simulation.prepare, workdir, observer=SHOWING)
    headings.show(headings.total - 2, "an encoder that is refitted as the signal drifts, to states")
    pipeline.walk(simulation.walk, workdir, observer=SHOWING)
    headings.show(headings.total - 1, f"states to agents: {simulation.trade.name}")
    pipeline.train(simulation.trade, workdir, reuse=True, observer=SHOWING)


def evaluate_runs(experiment: "Demo", workdir: Path, overwrite: bool) -> None:
    """Evaluates all runs, a section for each market, and prints their tables; a report that is there is left alone."""
    folder = workdir / "evaluate" / experiment.name
    if (folder / METRICS).exists() and not overwrite:
        print(f"{folder} is finished; --overwrite looks at the test days again, and says so")
        return
    groups: dict[str, list[Path]] = {}
    if experiment.simulation is not None:
        groups[SIMULATED] = [workdir / "trade" / experiment.simulation.trade.name]
    for trade in experiment.trades:
        groups.setdefault(trade.asset or "Portfolio", []).append(workdir / "trade" / trade.name)
    pipeline.evaluate(
        groups, experiment.evaluate, workdir, overwrite, name=experiment.name, title=TITLE, observer=SHOWING
    )


def explain(experiment: "Demo", workdir: Path, console: Console) -> None:
    """Prints what each file that is there is for."""
    table = Table(title=f"What is in {workdir}", show_header=False)
    names = {
        "panel": experiment.prepare.name,
        "encoder": experiment.pretrain.name,
        "trade": experiment.trades[0].name,
        "name": experiment.name,
    }
    for pattern, words in FILES:
        path = workdir / pattern.format(**names)
        if path.exists():
            table.add_row(str(path.relative_to(workdir)), words)
    console.print(table)


if __name__ == "__main__":
    run(main)
