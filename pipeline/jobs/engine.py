"""Engines: jobs carried out here, on processes of this machine, or on a Ray cluster, with the same results.

Which engine runs a job decides nothing of what it leaves. A job whose process or node dies is started again and
continues from its last state; a job that meets a mistake of the user ends the whole: what runs is let finish, nothing
new is started, and the same command later does what is left.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from configs.files import source_text
from pipeline.jobs.job import Job, ordered
from pipeline.jobs.workers import InProcess, JobEnd, JobFailure, WorkerDeath, Workers
from pipeline.results import SILENT, GraphProgress, JobProgress, Observer

STARTS = 4
"""Times that a job is started before its deaths count as its own fault."""
TICK = 1.0  # seconds between two looks at where jobs run


@dataclass(frozen=True)
class Engine:
    """Where jobs run.

    Attributes:
        kind: ``local`` for this machine, ``ray`` for a Ray cluster.
        jobs: Jobs at once. Of a local engine: processes with threads of their own, 0 for none but this one; of Ray: at
            most so many, 0 for as many as the cluster has room for.
        threads: Threads of each job; more than one may change the last bits of results.
        gpus: Graphics cards of each job, on Ray.
        address: Of the Ray cluster: ``auto`` for the one that is there, else a new one on this machine; ``local`` for a
            new one; ``ray://host:port`` or ``host:port``.
        return_files: Runs come back through Ray's object store, for nodes that do not see the working directory.
    """

    kind: Literal["local", "ray"] = "local"
    jobs: int = 0
    threads: int = 1
    gpus: float = 0.0
    address: str = "auto"
    return_files: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 0 or self.threads < 1 or self.gpus < 0:
            raise ValueError(
                f"engine: jobs {self.jobs}, threads {self.threads} and gpus {self.gpus}; expected at least 0, 1 and 0"
            )
        if self.kind == "local" and (self.return_files or self.gpus):
            raise ValueError("engine: a local engine returns no files and shares out no cards; use --engine ray")

    @property
    def is_parallel(self) -> bool:
        """Whether jobs run elsewhere than in this process."""
        return self.kind == "ray" or self.jobs > 0

    @contextmanager
    def workers(self, observer: Observer) -> Iterator[Workers]:
        """Yields the places where jobs run; at the end of the block they are gone.

        Raises:
            ValueError: Ray is asked for and not installed, or a launcher has started several processes.
        """
        if self.is_parallel and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError("--jobs and --engine ray run whole runs side by side; start it without a launcher")
        workers = self._made(observer)
        try:
            yield workers
        finally:
            workers.close()

    def _made(self, observer: Observer) -> Workers:
        if self.kind == "ray":
            from pipeline.jobs.cluster import RayWorkers

            return RayWorkers(self.jobs, self.threads, self.gpus, self.address, self.return_files)
        if self.jobs:
            from pipeline.jobs.processes import Processes

            return Processes(self.jobs, self.threads)
        return InProcess(observer)


HERE = Engine()
"""One job after the other in this process."""


def execute(
    jobs: Iterable[Job],
    engine: Engine = HERE,
    observer: Observer = SILENT,
    before: Callable[[Job], Job] | None = None,
    ended: Callable[[Job, Any], None] | None = None,
) -> None:
    """Carries out jobs, each as soon as what it waits for is finished.

    Args:
        jobs: What is to be done.
        engine: Where.
        observer: Told of each result, and of every change where several jobs run at once.
        before: Returns a job as it shall run, when its turn has come.
        ended: Called with each job that is finished, and its answer, before what waits for it starts.

    Raises:
        ValueError: A job failed, or its process died `STARTS` times; the message names it.
    """
    with engine.workers(observer) as workers:
        _Execution(ordered(list(jobs)), workers, observer if engine.is_parallel else None).run(
            before or _as_it_is, lambda job, answer: _tell(job, answer, observer, ended)
        )


def _as_it_is(job: Job) -> Job:
    return job


def _tell(job: Job, answer: Any, observer: Observer, ended: Callable[[Job, Any], None] | None) -> None:
    if ended is not None:
        ended(job, answer)
    result = job.result(answer)
    if result is not None:
        observer.finished(result)


class _Execution:
    """Jobs under way."""

    def __init__(self, jobs: Sequence[Job], workers: Workers, observer: Observer | None) -> None:
        self.workers, self.observer = workers, observer
        self.waiting = {job.name: job for job in jobs}
        self.running: dict[str, Job] = {}
        self.finished: set[str] = set()
        self.failures: list[str] = []
        self.rows = {job.name: JobProgress(job.name, "waiting") for job in jobs}
        self.began: dict[str, float] = {}

    def run(self, before: Callable[[Job], Job], ended: Callable[[Job, Any], None]) -> None:
        while self.running or (self.waiting and not self.failures):
            self._start_ready(before)
            for end in self.workers.wait(TICK):
                self._take(end, ended)
            self._note_places()
        if self.failures:
            raise ValueError(self.failures[0])

    def _start_ready(self, before: Callable[[Job], Job]) -> None:
        for name in list(self.waiting):
            job = self.waiting[name]
            if self.failures or len(self.running) >= self.workers.capacity:
                return
            if self.finished.issuperset(job.after):
                del self.waiting[name]
                self._start(before(job))

    def _start(self, job: Job) -> None:
        if self.observer is not None:
            _refuse_unsendable(job)
        self.running[job.name] = job
        self.began[job.name] = time.monotonic()
        self._note(job.name, "queued", starts=self.rows[job.name].starts + 1, told=False)
        self.workers.start(job)

    def _take(self, end: JobEnd, ended: Callable[[Job, Any], None]) -> None:
        job = self.running.pop(end.name)
        if isinstance(end.answer, WorkerDeath):
            self._start_again(job, end.answer.reason)
        elif isinstance(end.answer, JobFailure):
            self.failures.append(f"{job.name}: {end.answer.message}")
            self._note(job.name, "failed")
        else:
            self.finished.add(job.name)
            self._note(job.name, "finished")
            ended(job, end.answer)

    def _start_again(self, job: Job, reason: str) -> None:
        starts = self.rows[job.name].starts
        if starts >= STARTS:
            self.failures.append(
                f"{job.name}: {reason}, for the {starts}th time; if memory was short, run fewer --jobs; the same "
                "command continues"
            )
            self._note(job.name, "failed")
        elif not self.failures:
            self._start(job)

    def _note_places(self) -> None:
        for name, place in self.workers.places().items():
            if name in self.running and self.rows[name].place != place:
                self._note(name, "running", place=place)

    def _note(self, name: str, state: str, told: bool = True, **changes: Any) -> None:
        row = self.rows[name]
        seconds = time.monotonic() - self.began.get(name, time.monotonic())
        facts = {"place": row.place, "starts": row.starts, **changes}
        if state == "queued":
            facts["place"] = ""
        self.rows[name] = JobProgress(name, state, seconds=seconds, **facts)
        if told and self.observer is not None:
            self.observer.finished(GraphProgress(tuple(self.rows.values()), name))


def _refuse_unsendable(job: Job) -> None:
    """Refuses a configuration whose classes no other process could import.

    Raises:
        ValueError: A class is defined in a config file.
    """
    experiment = getattr(job, "experiment", None)
    if experiment is not None:
        source_text(experiment)
