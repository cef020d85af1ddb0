"""One run, one folder, one process that writes it: layout of a workdir, locks, fresh starts and continuations."""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from configs import files
from market.artifacts import AUDIT, CONFIG, CONFIG_SOURCE, FEATURES
from market.storage.system import try_lock


def data_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a prepared panel."""
    return Path(workdir) / "data" / name


def pretrain_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a pretraining run."""
    return Path(workdir) / "pretrain" / name


def states_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of the states of a frozen encoder."""
    return Path(workdir) / "states" / name


def trade_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a trading run."""
    return Path(workdir) / "trade" / name


def seed_folder(folder: Path, seed: int) -> Path:
    """Returns the folder of one seed within that of a trading run."""
    return folder / f"seed_{seed}"


def evaluate_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of an evaluation or a comparison."""
    return Path(workdir) / "evaluate" / name


def discover_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a study of factors."""
    return Path(workdir) / "discover" / name


def walk_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a walk."""
    return Path(workdir) / "walk" / name


def decide_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of the decisions of a trading run."""
    return Path(workdir) / "decide" / name


def sweep_folder(workdir: str | Path, name: str) -> Path:
    """Returns the folder of a search for hyper-parameters."""
    return Path(workdir) / "sweep" / name


PREPARATIONS = frozenset({CONFIG, CONFIG_SOURCE, AUDIT, FEATURES})
"""Files of a run that are written before it learns."""
POLL = 0.2  # seconds between two looks at a lock
_patience: ContextVar[float] = ContextVar("patience", default=0.0)


@contextmanager
def waiting_for_locks(seconds: float) -> Iterator[None]:
    """Lets `lock` wait so long for another holder, such as a process that is being killed on a node that was lost."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; the system releases it when the process ends, however it ends.

    What processes that were killed left half written or half removed is removed first.

    Raises:
        ValueError: Another process holds it; the message has its number.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    with open(path, "a+") as handle:
        if not _taken(handle.fileno()):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise ValueError(f"{folder}: process {holder} works on it; wait for it or choose another --name") from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        _remove_leftovers(folder)
        yield


def _taken(file: int) -> bool:
    """Takes the lock of a file, if need be after waiting for it as long as `waiting_for_locks` says."""
    end = time.monotonic() + _patience.get()
    while True:
        if try_lock(file):
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(POLL)


def _remove_leftovers(folder: Path) -> None:
    for part in folder.glob("**/.*.part"):  # see market.storage.array_file.atomic_write
        part.unlink()
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.*.old"):  # see begin
        shutil.rmtree(old)


def begin(folder: Path, experiment: Any, result: str, overwrite: bool) -> None:
    """Makes `folder` ready for `experiment`: fresh, or as an interrupted run of the same experiment left it.

    What another experiment left before it learnt anything, as one whose panel was misspelled, is thrown away.

    Args:
        folder: Folder of the run, held by this process.
        experiment: What runs; written beside its results as ``config.py`` and ``config.json``.
        result: Name of the file that only a finished run has.
        overwrite: Throw away what is there.

    Raises:
        ValueError: The run is finished, or was started with another configuration, and is not to be overwritten.
    """
    if overwrite:
        remove_folder(folder)
    if (folder / result).exists():
        raise ValueError(f"{folder}: this run is finished; choose another --name, or --overwrite to run it again")
    record = folder / CONFIG
    if record.exists():
        differing = files.difference(record, experiment)
        if differing and _has_results(folder):
            raise ValueError(f"{folder}: started with {differing}; use the same, or --overwrite to start again")
        if differing:
            remove_folder(folder)
    files.write(experiment, folder)


def _has_results(folder: Path) -> bool:
    return any(path.is_file() and path.name not in PREPARATIONS for path in folder.rglob("*"))


def remove_folder(folder: Path) -> None:
    """Removes a folder with all that is in it; killed meanwhile, no half of it stays under its name."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
        folder.rename(aside)
        shutil.rmtree(aside)


def is_finished(folder: Path, experiment: Any, result: str) -> bool:
    """Returns whether `folder` holds the finished run of this very experiment.

    Raises:
        ValueError: It holds the finished run of another one.
    """
    if not (folder / result).exists():
        return False
    differing = files.difference(folder / CONFIG, experiment)
    if differing:
        raise ValueError(f"{folder}: this run is finished, with {differing}; remove it or choose another name")
    return True
