"""A job: one run of a stage, which reads files, writes files, and may be carried out anywhere.

Jobs are values. What they make lies in the same folders, under the same locks, wherever they run; a job that was killed
continues from what it left.
"""

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from configs.paths import IN_WORKDIR, located
from pipeline.results import Observer

J = TypeVar("J", bound="Job")


@dataclass(frozen=True)
class Job(ABC):
    """One run of a stage.

    Attributes:
        name: What people read; distinct in a graph.
        workdir: Where the artifacts of all stages live.
        after: Names of the jobs that must be finished before.
    """

    name: str
    workdir: str
    after: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

    @abstractmethod
    def run(self, observer: Observer) -> Any:
        """Does the work, in whichever process, and returns a small plain answer.

        Raises:
            ValueError: As the stage does.
        """

    def result(self, answer: Any) -> Any:
        """Returns what `run` made, read back from its files, for the observer; None where there is nothing to show."""
        return None

    @property
    def reads(self) -> tuple[str, ...]:
        """Files and folders that must be there."""
        return ()

    @property
    def writes(self) -> tuple[str, ...]:
        """Folders that the job makes or fills."""
        return ()

    @property
    def appends(self) -> tuple[str, ...]:
        """Files that gain lines, beside those of other jobs."""
        return ()


def ordered(jobs: Sequence[J]) -> list[J]:
    """Returns the jobs with everything before what waits for it; those that could run together keep their order.

    Raises:
        ValueError: Two jobs have one name, a job waits for an unknown one, or jobs wait for each other.
    """
    known = {job.name: job for job in jobs}
    if len(known) < len(jobs):
        twice = next(job.name for k, job in enumerate(jobs) if job.name in [one.name for one in jobs[:k]])
        raise ValueError(f"{twice}: two runs have this name; give each experiment a name of its own")
    for job in jobs:
        for name in job.after:
            if name not in known:
                raise ValueError(f"{job.name} waits for '{name}', which is none of the {len(jobs)} jobs")
    done: dict[str, J] = {}
    left = list(jobs)
    while left:
        ready = next((job for job in left if all(name in done for name in job.after)), None)
        if ready is None:
            raise ValueError(f"{', '.join(job.name for job in left[:4])} wait for each other; name each run once")
        done[ready.name] = ready
        left.remove(ready)
    return list(done.values())


def connected(jobs: Sequence[J]) -> list[J]:
    """Returns the jobs, each waiting for those that write what it reads, in an order in which they can run."""
    writers = [(os.path.abspath(folder), job) for job in jobs for folder in job.writes]
    known = {job.name: job for job in jobs}
    linked = []
    for job in jobs:
        wanted = [os.path.abspath(path) for path in job.reads]
        makers = [
            one.name
            for folder, one in writers
            if job.name not in _before(one, known) and any(_within(path, folder) for path in wanted)
        ]
        linked.append(replace(job, after=tuple(dict.fromkeys((*job.after, *makers)))))
    return ordered(linked)


def _before(job: Job, known: Mapping[str, Job]) -> set[str]:
    """Returns the job and everything that it was told to wait for."""
    found: set[str] = set()
    left = [job.name]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += known[name].after if name in known else ()
    return found


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def input_paths(value: Any, workdir: str | Path) -> tuple[str, ...]:
    """Returns the files and folders that an experiment names: in the workdir, or declared as `IN_WORKDIR`.

    A path that leads to nothing yet may be one from here or one in the workdir; both are returned.
    """
    return tuple(dict.fromkeys((*_paths(located(value, workdir), str(workdir)), *_paths(value, str(workdir)))))


def _paths(value: Any, workdir: str) -> Iterator[str]:
    if isinstance(value, tuple):
        for entry in value:
            yield from _paths(entry, workdir)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if not isinstance(held, str):
            yield from _paths(held, workdir)
        elif held and (IN_WORKDIR in field.metadata or held.startswith(os.path.join(workdir, ""))):
            yield held
