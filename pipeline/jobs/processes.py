"""Worker processes on this machine: each runs one job after the other on threads of its own, until it dies or is told.

Values pass between processes of one program as `multiprocessing` passes them; nothing of that is ever read from a file.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipeline.jobs.job import Job
from pipeline.jobs.workers import JobEnd, JobFailure, WorkerDeath, attempt

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables by which libraries learn how many threads they have, read when they are first imported."""
GRACE = 5.0  # seconds that a process has to end before it is killed


class Processes:
    """A fixed number of processes, started when they are first needed and again when one has died.

    Args:
        count: Processes.
        threads: Threads of each.
    """

    def __init__(self, count: int, threads: int) -> None:
        self.capacity, self.threads = count, threads
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._busy: dict[str, _Worker] = {}

    def start(self, job: Job) -> None:
        """Hands the job to an idle process, or to a new one."""
        alive = [worker for worker in self._idle if worker.process.is_alive()]
        worker = alive.pop() if alive else _Worker(self._context, self.threads)
        self._idle = alive
        self._busy[job.name] = worker
        worker.connection.send(job)

    def wait(self, seconds: float) -> Sequence[JobEnd]:
        """Returns the jobs that have ended, by themselves or with their process."""
        handles: dict[Any, str] = {}
        for name, worker in self._busy.items():
            handles |= {worker.connection: name, worker.process.sentinel: name}
        names = dict.fromkeys(handles[one] for one in wait(list(handles), seconds))
        ends = []
        for name in names:
            worker = self._busy.pop(name)
            answer = worker.answer()
            if not isinstance(answer, WorkerDeath):
                self._idle.append(worker)
            ends.append(JobEnd(name, answer))
        return ends

    def places(self) -> dict[str, str]:
        """Returns the process of each job."""
        return {name: f"process {worker.process.pid}" for name, worker in self._busy.items()}

    def close(self) -> None:
        """Ends all processes; one that is in the middle of a job is stopped there and leaves its last state."""
        for worker in (*self._idle, *self._busy.values()):
            worker.end(politely=worker in self._idle)
        self._idle, self._busy = [], {}


class _Worker:
    """A process and the line to it."""

    def __init__(self, context: Any, threads: int) -> None:
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        with limited_threads(threads):  # a new process reads them before anything of ours runs there
            self.process.start()
        theirs.close()

    def answer(self) -> Any:
        """Returns what the job came to."""
        try:
            return self.connection.recv() if self.connection.poll() else self._death()
        except (EOFError, ConnectionResetError):
            return self._death()

    def _death(self) -> WorkerDeath | JobFailure:
        self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            return WorkerDeath(f"its process was ended by {signal.Signals(-code).name}")
        return JobFailure(f"its process ended with code {code}; what it printed says why")

    def end(self, politely: bool) -> None:
        if politely and self.process.is_alive():
            self.connection.send(None)
        else:
            self.process.terminate()
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Tells libraries that are loaded by processes started inside the block how many threads they have."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection) -> None:
    """Runs jobs as they come, until None does or whoever sends them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides what an interrupt means
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    while (job := connection.recv()) is not None:
        connection.send(attempt(job))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
