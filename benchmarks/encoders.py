"""FactorVAE: days a second that training takes in, at the sizes of the public implementations.

    python -m benchmarks encoders [--assets 300] [--batch 8] [--threads 2] [--steps 10] [--precision bf16]

A step is all that training does for a batch of days: gather the windows, the losses, their gradient, clipping, AdamW.
The fastest of several is told, since other work on a machine can only slow one down, and so is what it takes of the
processor over all threads: ``days / cpu s`` times the threads is what a quiet machine would reach at best. The
reference column holds public implementations on two cores of the machine that the goals were set on.
"""

import dataclasses
import time
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from encoders.factor_vae import FactorVAE
from encoders.launch import native_precision
from encoders.windows import WindowStore

LOOKBACK, N_FEATURES, N_DAYS = 20, 158, 120
CASES = {
    "FactorVAE H=64 M=24 K=16": (FactorVAE(portfolios=24, factors=16), "180", "facvae 61.7"),
    "FactorVAE H=64 M=128 K=96": (FactorVAE(portfolios=128, factors=96), "120", "facvae 53.5, another 14.5"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    assets: int = 300
    """Assets of a day."""
    batch: int = 8
    """Days of a step."""
    threads: int = 2
    """Threads of the processor."""
    steps: int = 10
    """Steps after the first."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto takes bf16 where the processor has it."""


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks encoders")
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    table = Table("encoder", "days / s", "days / cpu s", "goal, days / s", "reference, days / s")
    for name, (config, goal, reference) in CASES.items():
        wall, processor = measured(config, options)
        table.add_row(name, f"{options.batch / wall:.0f}", f"{options.batch / processor:.0f}", goal, reference)
    table.caption = (
        f"N = {options.assets}, T = {LOOKBACK}, F = {N_FEATURES}, {options.batch} days a step, "
        f"{precision(options)}, {options.threads} threads, torch {torch.__version__}"
    )
    Console().print(table)
    torch.set_num_threads(threads)


def measured(config: FactorVAE, options: Options) -> tuple[float, float]:
    """Returns wall-clock and processor seconds of a training step."""
    torch.manual_seed(0)
    store = _store(options.assets)
    encoder = config.build(store.shape)
    optimizer = torch.optim.AdamW(encoder.parameter_groups(1e-4, 0.05), fused=True)
    workspace = store.workspace(options.batch)
    best = (float("inf"), float("inf"))
    for step in range(options.steps + 1):
        days = torch.randperm(N_DAYS - LOOKBACK)[: options.batch] + LOOKBACK
        wall, processor = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision(options) == "bf16"):
            loss = encoder(store.gather(days, workspace)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step:
            spent = (time.perf_counter() - wall, time.process_time() - processor)
            best = (min(best[0], spent[0]), min(best[1], spent[1]))
    return best


def precision(options: Options) -> str:
    """Returns the arithmetic of the forward pass."""
    return native_precision(torch.device("cpu")) if options.precision == "auto" else options.precision


def _store(n_assets: int) -> WindowStore:
    shape = (N_DAYS, n_assets)
    return WindowStore(
        features=torch.randn(*shape, N_FEATURES),
        calendar=torch.rand(N_DAYS, 3) - 0.5,
        prices=100.0 * (0.01 * torch.randn(*shape, 1)).cumsum(0).exp() * (1 + 0.01 * torch.randn(*shape, 4)),
        listed=torch.ones(shape, dtype=torch.bool),
        forward_return=0.02 * torch.randn(shape),
        lookback=LOOKBACK,
    )
