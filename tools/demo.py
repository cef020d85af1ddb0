"""`make demo`: the whole main job, prices to evidence, on real data that ships with a dependency."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from configs.schema.demo import Demo
from pipeline.trial_count import METRICS
from tools import evaluate
from tools.cli import configured, run
from tools.prepare import prepare
from tools.runs.assessment import show
from tools.runs.stages import extracted_states, pretrained_encoder, trained_agents

CONFIGS = "configs"
DEFAULT = Path(__file__).parent.parent / CONFIGS / "demo.py"

TITLE = "FactorGym demonstration"
FILES = (
    ("data/{panel}/panel.safetensors", "prices: dates x assets x fields, with masks of what was listed and traded"),
    ("data/{panel}/quality.json", "what was wrong with the raw prices and what was done about it"),
    ("pretrain/{encoder}/model.safetensors", "the encoder: best epoch on the valid days, with its fitted scaler"),
    ("pretrain/{encoder}/metrics.json", "its forecast on valid and test days, and the use of its codebooks"),
    ("states/{encoder}/states.safetensors", "the frozen encoder's view of every day: all that agents see"),
    ("states/{encoder}/audit.json", "the proof that no state depends on the future"),
    ("trade/{trade}/seed_0/policy.safetensors", "a trained agent: the best on the valid days; agent.json describes it"),
    ("trade/{trade}/seed_0/history.jsonl", "every look at the valid days during its training"),
    ("evaluate/{name}/metrics.json", "every number of the report"),
    ("evaluate/{name}/policies.parquet", "daily returns of every policy on the test days"),
    ("evaluate/{name}/report.html", "the report: open it in a browser"),
)


@dataclass(frozen=True)
class Options:
    """Options beside the demonstration."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live; the paths in the configuration lead there."""
    overwrite: bool = False
    """Judge again although there is a report."""


def main(argv: Sequence[str]) -> None:
    """Runs every stage that is not finished yet, prints the results and says what each file is for."""
    named = any(argument.split("=")[0] == "--config" for argument in argv)
    argv = list(argv) if named else ["--config", str(DEFAULT), *argv]
    experiment, options = configured(Demo, Options, argv, CONFIGS)
    workdir, console, started = Path(options.workdir), Console(), time.monotonic()
    stages = 4 + len(experiment.trades)

    def begin(number: int, words: str) -> None:
        console.rule(
            f"[bold]{number} of {stages}[/bold]  {words}  [dim]{time.monotonic() - started:.0f} s", align="left"
        )

    begin(1, "prices to a clean panel")
    prepare(experiment.prepare, workdir, overwrite=False)
    begin(2, "panel to a trained encoder")
    pretrained_encoder(experiment.pretrain, workdir)
    begin(3, "encoder, frozen, to audited states")
    extracted_states(experiment.pretrain, workdir)
    for number, trade in enumerate(experiment.trades, start=4):
        begin(number, f"states to agents: {trade.name}")
        trained_agents(trade, workdir)
    begin(stages, "agents and classical policies on the test days")
    judge(experiment, workdir, options.overwrite)
    explain(experiment, workdir, console)
    console.print(f"Done in {time.monotonic() - started:.0f} s. TensorBoard: tensorboard --logdir {workdir}")


def judge(experiment: Demo, workdir: Path, overwrite: bool) -> None:
    """Evaluates all runs, a chapter for each market, and prints their tables; a report that is there is left alone."""
    folder = workdir / "evaluate" / experiment.name
    if (folder / METRICS).exists() and not overwrite:
        print(f"{folder} is finished; --overwrite looks at the test days again, and says so")
        return
    groups: dict[str, list[Path]] = {}
    for trade in experiment.trades:
        groups.setdefault(trade.asset or "Portfolio", []).append(workdir / "trade" / trade.name)
    for chapter in evaluate.evaluate(groups, TITLE, experiment.evaluate, folder, overwrite).chapters:
        show(chapter)


def explain(experiment: Demo, workdir: Path, console: Console) -> None:
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
