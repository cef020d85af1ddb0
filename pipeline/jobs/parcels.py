"""Parcels: the files of a job on their way to a node that does not see the working directory, and back.

Relative paths keep their names in the folder that a job gets on its node, so a run records the same paths wherever it
runs. Absolute paths are the same there; they are made where they are missing.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from market.arrays import AnyArray
from market.artifacts import AGENT_STATE, ENCODER_STATE
from market.storage.array_file import atomic_write
from market.storage.system import lock_file

Parcel: TypeAlias = dict[str, AnyArray]
"""Content of files by their paths, as bytes."""
STATES = (ENCODER_STATE, AGENT_STATE)
SIBLINGS = (".json", ".jsonl", ".py")
"""Suffixes of small files that say what lies beside them."""


def files_of(paths: Iterable[str]) -> list[str]:
    """Returns the files at `paths`: of a folder all, of a file itself and what describes it in its folder."""
    found: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [str(one) for one in sorted(path.rglob("*")) if _is_content(one)]
        elif path.is_file():
            beside = (one for one in sorted(path.parent.iterdir()) if one.suffix in SIBLINGS and one.is_file())
            found += [str(path), *(str(one) for one in beside)]
    return list(dict.fromkeys(found))


def state_files(folders: Iterable[str]) -> list[str]:
    """Returns the files in `folders` that an interrupted run continues from."""
    return [path for path in files_of(folders) if Path(path).name in STATES]


def pack(paths: Iterable[str]) -> Parcel:
    """Returns the content of the files at `paths` and in folders there."""
    return content_of(files_of(paths))


def content_of(files: Iterable[str]) -> Parcel:
    """Returns the content of files; one that is not there, or vanishes meanwhile, is left out."""
    return {path: content for path in files for content in _content(path)}


def unpack(parcel: Mapping[str, AnyArray]) -> None:
    """Writes the files of a parcel where they belong, each aside and renamed; equal ones are left alone."""
    for path, content in parcel.items():
        if any(np.array_equal(known, content) for known in _content(path)):
            continue
        with atomic_write(path) as aside:
            aside.write_bytes(content.tobytes())


def stamps(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Returns size and time of change of the files at `paths`."""
    found = {}
    for path in files_of(paths):
        if os.path.exists(path):
            known = os.stat(path)
            found[path] = known.st_size, known.st_mtime_ns
    return found


def append_lines(path: str, before: AnyArray | None, now: AnyArray) -> None:
    """Adds to a file the lines that a job added to its own copy.

    Args:
        path: The file.
        before: What the job's copy held at first; None for nothing.
        now: What it holds.
    """
    added = now[0 if before is None else len(before) :].tobytes()
    if added:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as handle:
            lock_file(handle.fileno())
            handle.write(added)


def _is_content(path: Path) -> bool:
    return path.is_file() and not path.name.endswith((".part", ".lock"))


def _content(path: str) -> Iterator[AnyArray]:
    try:
        yield np.fromfile(path, np.uint8)
    except FileNotFoundError:
        return
