"""One run, one folder, one process that writes it: claims, fresh starts and continuations, the same for every stage."""

import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs import files


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; the system gives it free when the process ends, however it ends.

    What processes that were killed left half written or half removed is removed first.

    Raises:
        ValueError: Another process holds it; the message has its number.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with open(lock, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise ValueError(f"{folder}: process {holder} works on it; wait for it or choose another --name") from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        _remove_leftovers(folder)
        yield


def _remove_leftovers(folder: Path) -> None:
    for part in folder.glob("**/.*.part"):  # see market.storage.written_aside
        part.unlink()
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.*.old"):  # see opened
        shutil.rmtree(old)


def opened(folder: Path, experiment: Any, result: str, overwrite: bool) -> None:
    """Makes `folder` ready for `experiment`: fresh, or as an interrupted run of the same experiment left it.

    Args:
        folder: Folder of the run, held by this process.
        experiment: What runs; written beside its results as ``config.py`` and ``config.json``.
        result: Name of the file that only a finished run has.
        overwrite: Throw away what is there.

    Raises:
        ValueError: The run is finished, or was started with another configuration, and is not to be overwritten.
    """
    if overwrite and folder.exists():
        aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
        folder.rename(aside)  # whatever happens next, no half of the old run stays under its name
        shutil.rmtree(aside)
    if (folder / result).exists():
        raise ValueError(f"{folder}: this run is finished; choose another --name, or --overwrite to run it again")
    known = folder / "config.json"
    if known.exists():
        differing = files.difference(known, experiment)
        if differing:
            raise ValueError(f"{folder}: started with {differing}; use the same, or --overwrite to start again")
    files.write(experiment, folder)


def finished(folder: Path, experiment: Any, result: str) -> bool:
    """Returns whether `folder` holds the finished run of this very experiment.

    Raises:
        ValueError: It holds the finished run of another one.
    """
    if not (folder / result).exists():
        return False
    differing = files.difference(folder / "config.json", experiment)
    if differing:
        raise ValueError(f"{folder}: this run is finished, with {differing}; remove it or choose another name")
    return True
