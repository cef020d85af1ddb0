"""The affine quantiser beside vector-quantize-pytorch: processor time of one forward and backward pass.

    python -m benchmarks quantizers [--tokens 4096] [--dim 64] [--codes 512] [--threads 1] [--repeats 30]

Every codebook has been started and is in training; the fastest of many passes is shown, since other work on a machine
can only slow one down. vqtorch, whose method the affine one is, stands beside where it is installed.
"""

import dataclasses
import time
from collections.abc import Callable

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from vector_quantize_pytorch import VectorQuantize

from encoders.quantizers import EMA, Affine, Learnable, VQTorch

GOAL = "9 ms"


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    tokens: int = 4096
    """Tokens quantised together."""
    dim: int = 64
    """Width of a token."""
    codes: int = 512
    """Codes of a codebook."""
    threads: int = 1
    """Threads of the processor."""
    repeats: int = 30
    """Passes after the first few."""


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks quantizers")
    table = Table("quantiser", "cpu ms", "goal")
    for name, milliseconds in measured(options).items():
        table.add_row(name, f"{milliseconds:.1f}", GOAL if name == "Affine" else "")
    table.caption = (
        f"{options.tokens} tokens x {options.dim}, {options.codes} codes, forward and backward, "
        f"{options.threads} threads, torch {torch.__version__}"
    )
    Console().print(table)


def measured(options: Options) -> dict[str, float]:
    """Returns processor milliseconds of one forward and backward pass by quantiser."""
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    tokens = torch.randn(options.tokens, options.dim)
    passes = {type(config).__name__: _ours(config, options) for config in (Affine(), Learnable(), EMA())} | _theirs(
        options
    )
    found = {name: 1e3 * _fastest(work, tokens, options.repeats) for name, work in passes.items()}
    torch.set_num_threads(threads)
    return found


def _ours(config: Affine | Learnable | EMA, options: Options) -> Callable[[Tensor], Tensor]:
    quantizer = dataclasses.replace(config, codebook_size=options.codes).build(options.dim)

    def work(tokens: Tensor) -> Tensor:
        found = quantizer(tokens)
        return found.quantised.sum() + sum(found.loss_terms.values())

    return work


def _theirs(options: Options) -> dict[str, Callable[[Tensor], Tensor]]:
    size = {"dim": options.dim, "codebook_size": options.codes, "kmeans_init": True}
    settings = {
        "vector-quantize-pytorch, averages": {},
        "vector-quantize-pytorch, learnable": {"ema_update": False, "learnable_codebook": True},
        "vector-quantize-pytorch, affine": {"affine_param": True, "sync_codebook": False, "sync_affine_param": False},
    }
    passes = {}
    for name, more in settings.items():
        module: nn.Module = VectorQuantize(**size, **more)

        def work(tokens: Tensor, module: nn.Module = module) -> Tensor:
            quantised, _, loss = module(tokens[None])
            return quantised.sum() + loss.sum()

        passes[name] = work
    try:
        return passes | {"vqtorch": _ours(VQTorch(), options)}
    except ValueError:  # not installed
        return passes


def _fastest(work: Callable[[Tensor], Tensor], tokens: Tensor, repeats: int) -> float:
    best = float("inf")
    for repeat in range(repeats + 3):
        tokens = tokens.detach().requires_grad_()
        started = time.process_time()
        work(tokens).backward()
        if repeat >= 3:
            best = min(best, time.process_time() - started)
    return best
