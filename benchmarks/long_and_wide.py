"""Twenty years of 500 stocks through every stage on a CPU: seconds, and the most memory that a stage ever holds.

    python -m benchmarks long_and_wide [--names 500] [--days 5040] [--epochs 2] [--steps 50000] [--workdir FOLDER]
    python -m benchmarks long_and_wide --names 300 1000 3000 --days 2000 --epochs 1

Several numbers of names make a table of how seconds and memory grow with them.

Prices are synthetic, features are Alpha158 (1.6 GB in single precision at the default size), the encoder is a small
FactorVAE, and PPO trades the portfolio of all stocks. Each stage is the command that a user runs, in a process of its
own; its time and its peak are what the system says of that process when it has ended, mapped files included. CPU
seconds are reported beside those of the clock because other work on a machine moves only the latter. An interrupted
benchmark continues in the same `--workdir`, and leaves out what is finished.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from agents.algorithms.on_policy import PPO
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from configs.files import source_text
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.factor_vae import FactorVAE
from encoders.training.optim import Optim
from envs import LongOnly
from market.sources.synthetic.source import Synthetic
from market.splits import Split

NAME = "long_and_wide"
START = "2004-01-05"
PARTS = (("train", 0.0, 0.65), ("valid", 0.66, 0.80), ("test", 0.81, 1.0))
"""Shares of the days; the gaps are wider than the purge."""


@dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    names: tuple[int, ...] = (500,)
    """Stocks; several numbers are measured one after the other."""
    days: int = 5040
    """Trading days; 252 make a year."""
    epochs: int = 2
    """Passes of the encoder over the train days."""
    steps: int = 50_000
    """Environment steps of the agent."""
    threads: int = 1
    """Threads of each stage."""
    workdir: Path | None = None
    """Where the artifacts go; a temporary folder by default, which is removed."""


class Cost(NamedTuple):
    """Seconds and memory of a stage."""

    seconds: float
    cpu_seconds: float
    peak: float  # bytes


def main(argv: list[str] | None = None) -> None:
    """Runs the stages one after the other and prints what each took."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks long_and_wide")
    if options.workdir is not None:
        measure(options, options.workdir)
        return
    with TemporaryDirectory() as folder:
        measure(options, Path(folder))


def measure(options: Options, workdir: Path) -> None:
    """Prints a table of the stages for each number of names, and a line of each stage as soon as it is known."""
    for stocks in options.names:
        folder = workdir / str(stocks)
        folder.mkdir(parents=True, exist_ok=True)
        table = Table("stage", title=f"{stocks:,} stocks x {options.days:,} days, {options.threads} thread(s)")
        for column in ("seconds", "CPU seconds", "peak GB"):
            table.add_column(column, justify="right")
        for stage, result, command in stages(options, stocks, folder):
            table.add_row(stage, *cost_of(folder / result, stage, command, options.threads))
        Console().print(table)


def cost_of(result: Path, stage: str, command: Sequence[str], threads: int) -> tuple[str, str, str]:
    """Returns the cells of a stage's row; a stage whose result is there has cost nothing."""
    if result.exists():
        return "finished before", "", ""
    cost = run(command, threads)
    row = (f"{cost.seconds:,.0f}", f"{cost.cpu_seconds:,.0f}", f"{cost.peak / 1e9:.2f}")
    print(f"{stage}: {row[0]} s, {row[1]} CPU s, {row[2]} GB", flush=True)
    return row


def run(command: Sequence[str], threads: int) -> Cost:
    """Returns what a command took in a process of its own; one that fails ends the benchmark."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=os.environ | dict.fromkeys(names, str(threads)), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for already
    if process.returncode:
        sys.exit(f"python -m {' '.join(command)}: exit code {process.returncode}")
    seconds = time.perf_counter() - started
    return Cost(seconds, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss)


def stages(options: Options, stocks: int, workdir: Path) -> list[tuple[str, str, list[str]]]:
    """Returns each stage with the file that only its end leaves and its command; writes the configurations it reads."""
    prepare, pretrain, trade = experiments(options, stocks, workdir)
    configs = {}
    for stage, experiment in (("prepare", prepare), ("pretrain", pretrain), ("train", trade)):
        configs[stage] = workdir / f"{stage}.py"
        configs[stage].write_text(source_text(experiment), encoding="utf-8")
    run_folder, where = workdir / "pretrain" / NAME, ["--workdir", str(workdir)]
    return [
        (
            "prepare",
            f"data/{NAME}/panel.safetensors",
            ["tools.prepare", "--config", str(configs["prepare"]), *where],
        ),
        (
            "pretrain",
            f"pretrain/{NAME}/metrics.json",
            ["tools.pretrain", "--config", str(configs["pretrain"]), *where],
        ),
        ("extract and audit", f"states/{NAME}/config.json", ["tools.extract_state", "--run", str(run_folder), *where]),
        ("train", f"trade/{NAME}/training.json", ["tools.train", "--config", str(configs["train"]), *where]),
        (
            "evaluate",
            f"evaluate/{NAME}/metrics.json",
            ["tools.evaluate", "--run", str(workdir / "trade" / NAME), *where],
        ),
    ]


def experiments(options: Options, stocks: int, workdir: Path) -> tuple[Prepare, Pretrain, Trade]:
    """Returns the configurations of the stages."""
    panel = str(workdir / "data" / NAME / "panel.safetensors")
    prepare = Prepare(name=NAME, source=Synthetic(stocks=stocks, days=options.days, start=START))
    pretrain = Pretrain(
        name=NAME,
        panel=panel,
        encoder=FactorVAE(lookback=20, hidden=16, portfolios=32, factors=8, likelihood=0.2, kl=0.1, rank=1.0),
        split=split(options.days),
        portfolio=TopKDropN(k=20, n_drop=4),
        optim=Optim(epochs=options.epochs, batch_size=16, learning_rate=1e-3, precision="fp32"),
    )
    trade = Trade(
        name=NAME,
        panel=panel,
        states=str(workdir / "states" / NAME / "states.safetensors"),
        agent=replace(PPO(), n_steps=32, batch_size=512),
        action=LongOnly(bound=1, scale=10),
        n_envs=16,
        schedule=TrainingConfig(total_steps=options.steps, validate_every=max(1, options.steps // 2)),
        seeds=(0,),
        in_sample="allow",
    )
    return prepare, pretrain, trade


def split(days: int) -> Split:
    """Returns the split of so many weekdays from `START` on."""
    dates = np.busday_offset(np.datetime64(START, "D"), np.arange(days), roll="forward")
    spans: dict[str, Any] = {
        part: (str(dates[int(first * days)]), str(dates[int(last * days) - 1])) for part, first, last in PARTS
    }
    return Split(**spans)


if __name__ == "__main__":
    main()
