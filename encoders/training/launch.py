"""The processes and the arithmetic of a run, as the launcher and the hardware give them."""

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import GradientAccumulationPlugin

from encoders.training.optim import Optim

logger = logging.getLogger(__name__)

TOLD_PRECISION = "ACCELERATE_MIXED_PRECISION"
TOLD_ACCUMULATION = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"
PRECISIONS: Mapping[str, Literal["fp32", "bf16"]] = MappingProxyType({"no": "fp32", "bf16": "bf16"})
"""Arithmetic of the forward pass by the name that launchers have for it."""

WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables in which launchers say how many processes there are."""


def init_distributed() -> PartialState:
    """Returns this process's place among the processes of the launch, after the process group is initialised.

    Raises:
        ValueError: The launcher started fewer processes than it was asked for.
    """
    # Without `cpu` accelerate leaves the processes of torchrun on a machine without a GPU alone with themselves.
    cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu)
    refuse_lost_processes(os.environ, state.num_processes)
    n_threads = lost_threads(os.environ, os.cpu_count() or 1)
    if n_threads and state.device.type == "cpu" and state.num_processes == 1:
        logger.info("accelerate asked for one thread; this process is alone on the machine and takes %d", n_threads)
        torch.set_num_threads(n_threads)
    return state


def lost_threads(environment: Mapping[str, str], n_cores: int) -> int:
    """Returns the threads to use where accelerate took them away, 0 where nothing is to be changed.

    ``accelerate launch`` sets ``OMP_NUM_THREADS=1`` for a single process on a machine without a GPU, which leaves all
    cores but one idle.
    """
    by_accelerate = TOLD_PRECISION in environment
    return n_cores if by_accelerate and environment.get("OMP_NUM_THREADS") == "1" and n_cores > 1 else 0


def make_accelerator(optim: Optim) -> Accelerator:
    """Returns the accelerator of this process, on the device and among the processes that the launcher gave it.

    Raises:
        ValueError: The launcher started fewer processes than it was asked for, or a batch cannot be shared out equally.
    """
    state = init_distributed()
    precision = chosen_precision(optim, os.environ, state.device)
    refuse_other_accumulation(optim, os.environ)
    AcceleratorState._reset_state()  # there is no public way to let a later run of a process choose its own precision
    accelerator = Accelerator(
        cpu=state.device.type == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=optim.accumulation),
    )
    processes = accelerator.num_processes
    if optim.batch_size % (processes * optim.accumulation):
        raise ValueError(
            f"optim: batch_size {optim.batch_size} cannot be shared equally by {processes} processes that each take "
            f"{optim.accumulation} parts; use a multiple of {processes * optim.accumulation}"
        )
    return accelerator


def chosen_precision(optim: Optim, environment: Mapping[str, str], device: torch.device) -> Literal["fp32", "bf16"]:
    """Returns the arithmetic of the forward pass: of the configuration, else of the launcher, else of the hardware.

    Where ``optim.precision`` is ``auto`` a launcher decides, for it was asked later; ``accelerate launch`` says ``no``
    where nobody told it otherwise. A line says so wherever that is not what the configuration or the device would
    take.

    Args:
        optim: The configuration.
        environment: Variables that the launcher has set.
        device: Where the run computes.

    Raises:
        ValueError: The launcher was told an arithmetic that no run has.
    """
    told = environment.get(TOLD_PRECISION)
    if told is None:
        return native_precision(device) if optim.precision == "auto" else optim.precision
    if told not in PRECISIONS:
        raise ValueError(
            f"the launcher was told mixed precision '{told}', expected one of {', '.join(PRECISIONS)}; "
            "pass --mixed_precision bf16 or no"
        )
    precision = PRECISIONS[told]
    if optim.precision == "auto":
        if precision != native_precision(device):
            better = next(name for name, each in PRECISIONS.items() if each == native_precision(device))
            logger.warning(
                "precision %s, as the launcher says; for this device --mixed_precision %s would be usual",
                precision,
                better,
            )
        return precision
    if precision != optim.precision:
        logger.warning(
            "precision %s, as optim.precision says, although the launcher was told --mixed_precision %s",
            optim.precision,
            told,
        )
    return optim.precision


def refuse_other_accumulation(optim: Optim, environment: Mapping[str, str]) -> None:
    """Refuses a launch that was told to accumulate gradients over another number of parts than the configuration.

    Raises:
        ValueError: It was; a single part is what launchers say by themselves and contradicts nothing.
    """
    told = int(environment.get(TOLD_ACCUMULATION, "1"))
    if told not in (1, optim.accumulation):
        raise ValueError(
            f"the launcher was told to accumulate {told} steps, optim.accumulation is {optim.accumulation}; "
            f"pass --optim.accumulation {told} instead, which takes each batch in {told} parts"
        )


def refuse_lost_processes(environment: Mapping[str, str], processes: int) -> None:
    """Refuses a launch for several processes of which fewer work together.

    ``accelerate launch --cpu --num_processes 2`` starts a single process without a word. It leaves the address of a
    meeting point in the environment, but no number of processes that would meet there.

    Args:
        environment: Variables that the launcher has set.
        processes: Processes that have found each other.

    Raises:
        ValueError: Fewer work together than were wanted; the message names the launcher that works.
    """
    sizes = [environment[name] for name in WORLD_SIZES if name in environment]
    lost = TOLD_PRECISION in environment and "MASTER_ADDR" in environment and not sizes
    wanted = int(sizes[0]) if sizes else 2 if lost else 1
    if processes < wanted:
        raise ValueError(
            f"launched for {'several' if lost else wanted} processes, but only {processes} of them works; "
            "use: torchrun --nproc_per_node 2 -m tools.pretrain --config ..."
        )


def native_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """Returns ``bf16`` where `device` multiplies it in hardware, otherwise ``fp32``."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return "bf16" if native else "fp32"
    return "fp32"


def precision_of(accelerator: Accelerator) -> str:
    """Returns the arithmetic of the forward pass, ``fp32`` or ``bf16``."""
    return "fp32" if accelerator.mixed_precision == "no" else str(accelerator.mixed_precision)
