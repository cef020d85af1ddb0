"""STORM at the reference's sizes: seconds and memory of a training step, batch assembly and extraction.

    python -m benchmarks pretrain [--cases dj30 sp500] [--precisions fp32 bf16] [--threads 2] [--steps 3]

Every case runs in a process of its own: one step to warm up, then `steps` of which the fastest is reported, since other
work on a machine can only slow one down. Peak memory is that of the whole process, its input included. The reference
column is the public implementation of the paper on two cores. bf16 is measured where the processor has it.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from encoders.storm.model import Storm
from encoders.windows import WindowStore

N_FEATURES, N_CALENDAR, LOOKBACK = 149, 3, 64
TRAINING_DAYS = 2500


@dataclasses.dataclass(frozen=True)
class Case:
    """One size of the data, and what the reference needs for it."""

    n_assets: int
    batch: int
    attention: str
    reference: str


CASES = {
    "dj30": Case(29, 32, "per_asset", "8.64 s, 6.16 GB"),
    "dj30_joint": Case(29, 32, "joint", "8.64 s, 6.16 GB"),
    "sp500": Case(408, 1, "per_asset", "15.3 s, 9.3 GB"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    cases: tuple[Literal["dj30", "dj30_joint", "sp500"], ...] = ("dj30", "dj30_joint", "sp500")
    """Sizes."""
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
    """Precisions; one that the device does not have is left out."""
    threads: int = 2
    """Threads of the processor."""
    steps: int = 3
    """Steps after the first."""
    device: str = "cpu"
    """Where to train."""


@dataclasses.dataclass(frozen=True)
class StepTiming:
    """Figures of one process."""

    step: float
    """Seconds of a training step."""
    processor: float
    """Processor seconds of that step over all threads."""
    infer: float
    """Seconds in which the frozen encoder infers the same batch."""
    assembly: float
    """Seconds in which `TRAINING_DAYS` days are gathered in batches."""
    peak_gb: float
    parameters: int


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    if argv and argv[0] == "run":  # the child process of one case
        print(json.dumps(dataclasses.asdict(_measure(argv[1], argv[2], int(argv[3]), int(argv[4]), argv[5]))))
        return
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks pretrain")
    table = Table(
        "case", "precision", "step s", "cpu s", "infer s", "assembly s", "peak GB", "M parameters", "reference"
    )
    for name in options.cases:
        for precision in options.precisions:
            if precision == "bf16" and options.device == "cpu" and not _has_bf16():
                continue
            found = _in_own_process(name, precision, options)
            numbers = (found.step, found.processor, found.infer, found.assembly, found.peak_gb, found.parameters / 1e6)
            table.add_row(name, precision, *(f"{number:.2f}" for number in numbers), CASES[name].reference)
    table.caption = f"{options.threads} threads, torch {torch.__version__}, {options.device}"
    Console().print(table)


def _in_own_process(name: str, precision: str, options: Options) -> StepTiming:
    words = (name, precision, str(options.threads), str(options.steps), options.device)
    command = [sys.executable, "-m", "benchmarks", "pretrain", "run", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return StepTiming(**json.loads(done.stdout.splitlines()[-1]))


def _measure(name: str, precision: str, threads: int, n_steps: int, device: str) -> StepTiming:
    case = CASES[name]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    store = _store(case).to(device)
    assembly = _assemble(store, case.batch)
    encoder = Storm(lookback=LOOKBACK, attention=case.attention).build(store.shape).to(device)
    optimizer = torch.optim.AdamW(encoder.parameter_groups(1e-4, 0.05), fused=True)
    window = store.gather(torch.arange(case.batch) + LOOKBACK)

    def step() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = encoder(window).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _wait(device)

    def infer() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            encoder.infer(window.features, window.mask, window.calendar)
        _wait(device)

    seconds, processor = _fastest(step, n_steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 1e9
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return StepTiming(seconds, processor, _fastest(infer, n_steps)[0], assembly, peak, parameters)


def _fastest(work: Callable[[], None], repeats: int) -> tuple[float, float]:
    work()
    best = (float("inf"), float("inf"))
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - processor))
    return best


def _store(case: Case) -> WindowStore:
    n_days = 2 * LOOKBACK if case.n_assets > 100 else TRAINING_DAYS
    shape = (n_days, case.n_assets)
    return WindowStore(
        features=torch.randn(*shape, N_FEATURES),
        calendar=torch.rand(n_days, N_CALENDAR) - 0.5,
        prices=100.0 * (0.01 * torch.randn(*shape, 1)).cumsum(0).exp() * (1 + 0.01 * torch.randn(*shape, 4)),
        listed=torch.ones(shape, dtype=torch.bool),
        forward_return=0.02 * torch.randn(shape),
        lookback=LOOKBACK,
    )


def _assemble(store: WindowStore, batch: int) -> float:
    # Seconds to gather every day once, in random order as training does; a large case has a few days only.
    days = torch.randperm(len(store.features) - LOOKBACK) + LOOKBACK
    workspace = store.workspace(batch)
    started = time.perf_counter()
    for some in days.split(batch):
        store.gather(some, workspace)
    return (time.perf_counter() - started) * TRAINING_DAYS / len(days)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _has_bf16() -> bool:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
