"""FactorVAE and FactorVQVAE: days a second that training takes in, at the sizes of the public implementations.

    python -m benchmarks encoders [--assets 300] [--batch 8] [--threads 2] [--processes 2] [--steps 10]

A step is all that training does for a batch of days: gather the windows, the losses, their gradient, clipping, AdamW.
The fastest of several is reported, since other work on a machine can only slow one down, and so is what it takes of the
processor over all threads: ``days / cpu s`` times the threads is what a quiet machine would reach at best. The
reference column holds public implementations on two cores of the machine that the goals were set on.

FactorVQVAE stands here with the paper's sizes, which are the defaults, and with those of `configs.pretrain`. Its second
stage reads its frozen first stage once a run (`encoders.factor_vqvae.frozen_cache`); that first time is not part of
its steps.
"""

import dataclasses
import multiprocessing
import tempfile
import time
from multiprocessing.queues import SimpleQueue
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import distributed
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel

from encoders.base import Encoder, EncoderConfig
from encoders.factor_vae import FactorVAE
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor
from encoders.factor_vqvae.tokenizer import FactorVQVAE
from encoders.quantizers import Affine
from encoders.training.hooks import FrozenCacheHook
from encoders.training.launch import native_precision
from encoders.windows import WindowStore

Spent = tuple[float, float]
"""Wall-clock and processor seconds."""

LOOKBACK, N_FEATURES, N_DAYS = 20, 158, 120
SMALL = FactorVQVAE(hidden=64, dim=64, quantizer=Affine(codebook_size=128))
CASES: dict[str, tuple[EncoderConfig, str, str]] = {
    "FactorVAE H=64 M=24 K=16": (FactorVAE(portfolios=24, factors=16), "180", "facvae 61.7"),
    "FactorVAE H=64 M=128 K=96": (FactorVAE(portfolios=128, factors=96), "120", "facvae 53.5, another 14.5"),
    "FactorVQVAE 1, H=d=64 C=128": (SMALL, "40", "8.1"),
    "FactorVQVAE 2, the same, width 32": (FactorVQVAEPredictor(run="", tokens=SMALL, width=32), "40", "7.6"),
    "FactorVQVAE 1, H=d=128 C=512": (FactorVQVAE(), "40", "8.1"),
    "FactorVQVAE 2, the same, width 64": (FactorVQVAEPredictor(run=""), "40", "7.6"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    assets: int = 300
    """Assets of a day."""
    batch: int = 8
    """Days of a step."""
    threads: int = 2
    """Threads of the processor, of all processes together."""
    processes: int = 1
    """Processes that share the days of a step and average their gradients, as under torchrun."""
    steps: int = 10
    """Steps after the first."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto takes bf16 where the processor has it."""


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks encoders")
    if options.batch % options.processes or options.threads % options.processes:
        raise SystemExit("encoders: --processes must divide --batch and --threads; change one of them")
    table = Table("encoder", "days / s", "days / cpu s", "goal, days / s", "reference, days / s")
    for name, (config, goal, reference) in CASES.items():
        wall, processor = measured(config, options)
        table.add_row(name, f"{options.batch / wall:.0f}", f"{options.batch / processor:.0f}", goal, reference)
    table.caption = (
        f"N = {options.assets}, T = {LOOKBACK}, F = {N_FEATURES}, {options.batch} days a step, "
        f"{precision(options)}, {options.threads} threads in {options.processes} processes, torch {torch.__version__}"
    )
    Console().print(table)


def measured(config: EncoderConfig, options: Options) -> Spent:
    """Returns wall-clock and processor seconds of a training step."""
    with tempfile.TemporaryDirectory() as folder:
        results = multiprocessing.get_context("spawn").SimpleQueue()
        spawn(_process, (config, options, f"file://{folder}/meeting", results), nprocs=options.processes)
        spent = [results.get() for _ in range(options.processes)]
    return max(wall for wall, _ in spent), sum(processor for _, processor in spent)


def _process(rank: int, config: EncoderConfig, options: Options, meeting: str, results: SimpleQueue[Spent]) -> None:
    torch.set_num_threads(options.threads // options.processes)
    if options.processes > 1:
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=options.processes)
    results.put(_step(config, options))
    if options.processes > 1:
        distributed.destroy_process_group()


def _step(config: EncoderConfig, options: Options) -> Spent:
    torch.manual_seed(0)
    market_features = 1 + SMALL.market_features if isinstance(config, FactorVQVAE | FactorVQVAEPredictor) else 0
    store = _store(options.assets, N_FEATURES + market_features)
    encoder = config.build(store.shape)
    if isinstance(encoder, FrozenCacheHook):
        _read_all_days(encoder, store, options)
    optimizer = torch.optim.AdamW(encoder.parameter_groups(1e-4, 0.05), fused=True)
    model = DistributedDataParallel(encoder) if options.processes > 1 else encoder
    share = options.batch // options.processes
    workspace = store.workspace(share)
    best = (float("inf"), float("inf"))
    for step in range(options.steps + 1):
        days = torch.randperm(N_DAYS - LOOKBACK)[:share] + LOOKBACK
        wall, processor = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision(options) == "bf16"):
            loss = model(store.gather(days, workspace)).loss
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


def _read_all_days(encoder: Encoder, store: WindowStore, options: Options) -> None:
    assert isinstance(encoder, FrozenCacheHook)
    encoder.use_windows(store)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision(options) == "bf16"):
        for days in torch.arange(LOOKBACK, N_DAYS).split(options.batch):
            encoder(store.gather(days))


def _store(n_assets: int, n_features: int) -> WindowStore:
    shape = (N_DAYS, n_assets)
    return WindowStore(
        features=torch.randn(*shape, n_features),
        calendar=torch.rand(N_DAYS, 3) - 0.5,
        prices=100.0 * (0.01 * torch.randn(*shape, 1)).cumsum(0).exp() * (1 + 0.01 * torch.randn(*shape, 4)),
        listed=torch.ones(shape, dtype=torch.bool),
        forward_return=0.02 * torch.randn(shape),
        lookback=LOOKBACK,
    )
