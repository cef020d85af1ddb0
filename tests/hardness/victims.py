"""Whole stages at a size of seconds, run in processes that may be killed at any moment.

A process that has imported everything once forks the victims (`multiprocessing`'s fork server), so that a kill costs
what the stage does and not ten seconds of imports. What is killed is the ``main`` of the tool, on files of its own
folder.
"""

import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd

import market.sources.yahoo.source
from agents.algorithms.on_policy import PPO
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from configs.files import source_text
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Choice, LogUniform, Sweep
from configs.schema.trade import Trade
from encoders.baselines.gru import GRU
from encoders.quantizers import Learnable
from encoders.storm.branches import StormSizes
from encoders.storm.model import Storm
from encoders.training.optim import Optim
from envs import LongOnly
from market.features import Formulas
from market.features.table import Feature
from market.sources.synthetic.source import Synthetic
from market.sources.yahoo.client import Yahoo
from market.sources.yahoo.source import YFinance
from market.splits import Split
from tests.market.yahoo_server import LocalSession
from tools import download, extract_state, prepare, pretrain, sweep, train
from tools.command import run

IMPORTED_LATE = (
    "matplotlib.backends.backend_agg",
    "pipeline.extraction",
    "pipeline.hyperparameters",
    "pipeline.many",
    "pipeline.preparation",
    "pipeline.reference_policies",
    "plotly.graph_objects",
    "tools.cli",
    "tools.live_table",
    "tools.printing",
    "torch._dynamo",
    "tyro",
)
"""What stages import while they run: imported here, each victim is spared it."""
for _name in IMPORTED_LATE:
    importlib.import_module(_name)
TOOLS = {tool.__name__: tool for tool in (download, extract_state, prepare, pretrain, sweep, train)}
NOW = pd.Timestamp("2020-03-06 18:00", tz="UTC")
TICKERS = ("AAPL", "IBM", "INTC", "JPM", "KO", "MSFT")
DOWNLOAD = Prepare(name="tiny", source=YFinance(TICKERS, "2019-01-02", cache="cache", batch=2, pause=0.0))
PREPARE = Prepare(name="tiny", source=Synthetic(stocks=8, days=270))
PRETRAIN = Pretrain(
    name="tiny",
    panel="inputs/data/tiny/panel.safetensors",
    encoder=Storm(
        lookback=8,
        quantizer=Learnable(codebook_size=8),
        sizes=StormSizes(dim=8, depth=1, decoder_depth=1, heads=2, asset_state=4, market_state=4),
    ),
    features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
    split=Split(
        train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=("2010-11-08", "2010-12-31")
    ),
    portfolio=TopKDropN(k=2, n_drop=1),
    optim=Optim(epochs=2, batch_size=16, learning_rate=3e-3, precision="fp32", save_every=2),
)
TRADE = Trade(
    name="tiny",
    panel="inputs/data/tiny/panel.safetensors",
    states="inputs/states/tiny/states.safetensors",
    agent=PPO(n_steps=16, batch_size=64, n_epochs=1, width=4, net_arch=(4,)),
    action=LongOnly(bound=1, scale=5),
    episode_days=40,
    n_envs=4,
    schedule=TrainingConfig(total_steps=256, validate_every=64),
    seeds=(0, 1),
    in_sample="allow",
)
SWEEP = Sweep(
    name="tiny",
    base=replace(PRETRAIN, encoder=GRU(lookback=4, hidden=4, layers=1), optim=replace(PRETRAIN.optim, patience=None)),
    dimensions=(
        LogUniform(field="optim.learning_rate", low=1e-4, high=1e-1),
        Choice(field="encoder.hidden", values=(2, 16)),
    ),
    trials=3,
    random_trials=2,
)
EXPERIMENTS = {"download": DOWNLOAD, "prepare": PREPARE, "pretrain": PRETRAIN, "train": TRADE, "sweep": SWEEP}
"""Configurations of the stages that have one."""


@dataclass(frozen=True)
class Victim:
    """A stage that is going to be killed.

    Attributes:
        tool: Name of the module whose ``main`` runs.
        argv: Its command line; paths are relative to the folder it runs in.
        made: Folders, relative to that one, that hold what it makes.
    """

    tool: str
    argv: tuple[str, ...]
    made: tuple[str, ...]


def victims(inputs: Path) -> dict[str, Victim]:
    """Returns the stages by name; their configurations are written beside `inputs`."""
    configs = {}
    for name, experiment in EXPERIMENTS.items():
        configs[name] = inputs / f"{name}.py"
        configs[name].write_text(source_text(experiment))
    return {
        "download": Victim("tools.download", ("--config", str(configs["download"])), ("cache", "workdir/data/tiny")),
        "prepare": Victim("tools.prepare", ("--config", str(configs["prepare"])), ("workdir/data/tiny",)),
        "pretrain": Victim("tools.pretrain", ("--config", str(configs["pretrain"])), ("workdir/pretrain/tiny",)),
        "extract": Victim("tools.extract_state", ("--run", "inputs/pretrain/tiny"), ("workdir/states/tiny",)),
        "train": Victim("tools.train", ("--config", str(configs["train"])), ("workdir/trade/tiny",)),
        "sweep": Victim("tools.sweep", ("--config", str(configs["sweep"])), ("workdir/sweep/tiny",)),
    }


def make_inputs(folder: Path) -> None:
    """Runs prepare, pretrain and extract in the empty `folder`, so that it holds what the later stages read."""
    (folder / "inputs").symlink_to(folder)  # the configurations say inputs/..., wherever a stage runs
    for name in ("prepare", "pretrain", "extract"):
        victim = victims(folder)[name]
        finish(replace(victim, argv=(*victim.argv, "--workdir", ".")), folder)


def arena(folder: Path, inputs: Path) -> Path:
    """Returns a new folder in which a stage finds its inputs."""
    folder.mkdir()
    (folder / "inputs").symlink_to(inputs)
    return folder


def start(
    victim: Victim, where: Path, port: int | None = None, deadly: int | None = None, room: int | None = None
) -> BaseProcess:
    """Starts a stage in a process of its own; what it says of errors goes to the file ``stderr`` in `where`.

    Args:
        victim: The stage.
        where: Folder it runs in.
        port: Of the server that stands for Yahoo.
        deadly: Number, from 1, of the renaming of a file at which the process kills itself: before it where the number
            is odd, else after it; None for none.
        room: Bytes that a file may have, which the system enforces like the end of a disk; None for any number.
    """
    process = _context().Process(target=_perform, args=(victim, str(where), port, deadly, room))
    process.start()
    return process


def finish(victim: Victim, where: Path, port: int | None = None) -> None:
    """Runs a stage to its end, which must be a good one."""
    process = start(victim, where, port)
    process.join()
    assert process.exitcode == 0, f"{victim.tool} ended with {process.exitcode}: {(where / 'stderr').read_text()}"


def made(victim: Victim, where: Path) -> dict[str, bytes]:
    """Returns every file that a stage has made by its path; TensorBoard's carry the time of day and are left out.

    Half files of killed downloads may stay in the cache, which several processes share; they are never read.
    """
    return {
        str(path.relative_to(where)): path.read_bytes()
        for folder in victim.made
        for path in sorted((where / folder).rglob("*"))
        if path.is_file() and "tensorboard" not in path.parts and not (folder == "cache" and path.suffix == ".part")
    }


def wipe(where: Path) -> None:
    """Removes everything that a stage has made in `where`."""
    for folder in ("cache", "workdir"):
        shutil.rmtree(where / folder, ignore_errors=True)


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _perform(victim: Victim, where: str, port: int | None, deadly: int | None, room: int | None) -> None:
    os.chdir(where)
    sys.stdout, sys.stderr = open(os.devnull, "w"), open("stderr", "w")  # noqa: SIM115 - as long as the process lives
    sys.argv = [victim.tool, *victim.argv]
    if port is not None:
        market.sources.yahoo.source.Yahoo = lambda: Yahoo(LocalSession(port), lambda: NOW)  # type: ignore[assignment,misc]
    if deadly is not None:
        os.replace = _deadly(os.replace, deadly)  # type: ignore[assignment]
    if room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    run(importlib.import_module(victim.tool).main)


def _deadly(replace_file: Callable[..., None], deadly: int) -> Callable[..., None]:
    """Counts the files of the run alone: caches of compiled code are renamed too, by whoever comes first."""
    calls: dict[str, int] = {"n": 0}
    arena = os.getcwd()

    def replace(source: Any, target: Any, **options: Mapping[str, Any]) -> None:
        if not os.path.abspath(target).startswith(arena) or str(target).endswith((".nbi", ".nbc", ".pyc")):
            replace_file(source, target, **options)
            return
        calls["n"] += 1
        if calls["n"] == deadly and deadly % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        replace_file(source, target, **options)
        if calls["n"] == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    return replace
