"""Workers: what an engine needs of the places where jobs run, and the place that is this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pipeline.jobs.job import Job
from pipeline.results import SILENT, Observer
from pipeline.run_directory import waiting_for_locks

PATIENCE = 60.0
"""Seconds that a job waits for the lock of a run, which a worker that is being killed may still hold."""


@dataclass(frozen=True)
class JobFailure:
    """An error that starting the job again would meet again.

    Attributes:
        message: One line, as the stage said it.
    """

    message: str


@dataclass(frozen=True)
class WorkerDeath:
    """The end of a process or node in the middle of a job, which may be started again.

    Attributes:
        reason: How it ended.
    """

    reason: str


class JobEnd(NamedTuple):
    """The end of a job.

    Attributes:
        name: Of the job.
        answer: What `Job.run` returned, or how it failed.
    """

    name: str
    answer: Any


class Workers(Protocol):
    """Places where jobs run, several at a time."""

    @property
    def capacity(self) -> int:
        """Jobs that may be started before one has ended."""
        ...

    def start(self, job: Job) -> None:
        """Starts a job, or queues it."""
        ...

    def wait(self, seconds: float) -> Sequence[JobEnd]:
        """Returns the jobs that have ended, after at most so long; there may be none yet."""
        ...

    def places(self) -> dict[str, str]:
        """Returns where each job runs that has left the queue."""
        ...

    def close(self) -> None:
        """Ends whatever runs."""
        ...


def attempt(job: Job, observer: Observer = SILENT) -> Any:
    """Returns the answer of a job, or the mistake of the user that it met; other errors are faults of the program."""
    try:
        with waiting_for_locks(PATIENCE):
            return job.run(observer)
    except (ValueError, OSError) as error:
        return JobFailure(str(error))


class InProcess:
    """Runs each job here and now; errors leave as they come."""

    capacity = 1

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._ends: list[JobEnd] = []

    def start(self, job: Job) -> None:
        """Runs the job."""
        self._ends.append(JobEnd(job.name, job.run(self.observer)))

    def wait(self, seconds: float) -> Sequence[JobEnd]:
        """Returns the jobs that have ended."""
        ends, self._ends = self._ends, []
        return ends

    def places(self) -> dict[str, str]:
        """Nothing: a job has ended when it could be told."""
        return {}

    def close(self) -> None:
        """Nothing is left to end."""
