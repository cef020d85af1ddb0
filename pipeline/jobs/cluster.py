"""Jobs on a Ray cluster. Ray places them; what is done with a job whose worker or node dies is decided by the engine.

Ray is optional (``requirements-scale.txt``). A node needs the same version of this library. Nodes that see the working
directory write into it as a process on this machine would. Others get the files that a job reads, work in a folder of
their own, and return what they made through the object store; now and then they hand in what an interrupted run
continues from, so that a lost node costs no more than what was since the last state.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.jobs.job import Job
from pipeline.jobs.parcels import Parcel, append_lines, content_of, pack, stamps, state_files, unpack
from pipeline.jobs.processes import THREADS
from pipeline.jobs.workers import JobEnd, WorkerDeath, attempt

HAND_IN = 5.0
"""Seconds between two looks at whether a run has written another state, which is then handed in."""
AHEAD = 2
"""Jobs that are queued in Ray for each one that there is room for."""


class RemoteTask(NamedTuple):
    """A job for a node, and how the node runs it.

    Attributes:
        job: The job.
        folder: Working directory, None for one of its own.
        threads: Threads that it has.
        hand_in: Seconds between two looks at whether the job has written another state.
    """

    job: Job
    folder: str | None
    threads: int
    hand_in: float


@dataclass(frozen=True)
class Delivery:
    """Answer and files of a job that has ended on a node.

    Attributes:
        answer: As `attempt` returns it.
        files: What the job wrote; None where it wrote into a shared folder.
    """

    answer: Any
    files: Parcel | None


class Board:
    """Runs on the node of whoever started the jobs: where each job is, and the files that it would continue from."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._files: dict[str, Parcel] = {}

    def expect(self, name: str) -> None:
        """Forgets where a job ran that is queued again."""
        self._places.pop(name, None)

    def kept(self, name: str) -> tuple[str, ...]:
        """Returns the names of the files that are kept of a job."""
        return tuple(self._files.get(name, ()))

    def begin(self, name: str, place: str) -> Parcel:
        """Notes where a job runs, and returns what another node had handed in of it."""
        self._places[name] = place
        return self._files.get(name, {})

    def hand_in(self, name: str, files: Parcel) -> None:
        """Keeps what a job would continue from."""
        self._files[name] = files

    def forget(self, name: str) -> None:
        """Lets go of the files of a job that has ended."""
        self._files.pop(name, None)

    def places(self) -> dict[str, str]:
        """Returns where each job was begun last."""
        return dict(self._places)


class RayWorkers:
    """A Ray cluster: one that is there, or one that is started on this machine and ends with this object."""

    def __init__(self, jobs: int, threads: int, gpus: float, address: str, return_files: bool) -> None:
        self.ray, self._joined = _joined(address)
        self.threads, self.return_files = threads, return_files
        room = int(self.ray.cluster_resources().get("CPU", 1) // threads)
        self.capacity = jobs or AHEAD * max(1, room)
        here = self.ray.get_runtime_context().get_node_id()
        placed = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        self.board = self.ray.remote(Board).options(num_cpus=0, scheduling_strategy=placed).remote()
        self.work = self.ray.remote(work).options(num_cpus=threads, num_gpus=gpus, max_retries=0)
        self._running: dict[Any, Job] = {}
        self._appended: dict[str, Parcel] = {}
        self._stored: dict[tuple[str, tuple[int, int]], Any] = {}

    def start(self, job: Job) -> None:
        """Queues the job, with its files where nodes do not see them."""
        files = self._shipped(job) if self.return_files else {}
        task = RemoteTask(job, None if self.return_files else os.getcwd(), self.threads, HAND_IN)
        self.board.expect.remote(job.name)
        self._running[self.work.remote(task, list(files), self.board, *files.values())] = job

    def wait(self, seconds: float) -> Sequence[JobEnd]:
        """Returns the jobs that have ended, with their files in place."""
        if not self._running:
            return []
        done, _ = self.ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [JobEnd(self._running[one].name, self._received(one, self._running.pop(one))) for one in done]

    def places(self) -> dict[str, str]:
        """Returns the node and process of each job that was begun."""
        found: dict[str, str] = self.ray.get(self.board.places.remote())
        running = {job.name for job in self._running.values()}
        return {name: place for name, place in found.items() if name in running}

    def close(self) -> None:
        """Stops what runs, and the cluster where it was started for this."""
        for one in self._running:
            self.ray.cancel(one, force=True)
        self._running = {}
        self.ray.kill(self.board)
        if not self._joined:
            self.ray.shutdown()

    def _shipped(self, job: Job) -> dict[str, Any]:
        """Returns the stored files that a job reads or continues, each put into the object store once."""
        self._appended[job.name] = appended = content_of(job.appends)
        found = {path: self.ray.put(content) for path, content in appended.items()}
        for path, stamp in stamps((*job.reads, *job.writes)).items():
            if path in appended:
                continue
            if (path, stamp) not in self._stored:
                self._stored[path, stamp] = self.ray.put(content_of([path])[path])
            found[path] = self._stored[path, stamp]
        return found

    def _received(self, reference: Any, job: Job) -> Any:
        """Returns the answer of a job whose files are now in place, or the death of what ran it."""
        try:
            delivery: Delivery = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError:
            raise  # a fault of the program, with its traceback
        except self.ray.exceptions.RayError as error:
            return WorkerDeath(str(error).partition("\n")[0] or type(error).__name__)
        if delivery.files is not None:
            self._put_in_place(job, delivery.files)
        return delivery.answer

    def _put_in_place(self, job: Job, files: Parcel) -> None:
        appended = set(job.appends)
        unpack({path: content for path, content in files.items() if path not in appended})
        for path in appended & set(files):
            append_lines(path, self._appended[job.name].get(path), files[path])
        self.board.forget.remote(job.name)


def _joined(address: str) -> tuple[Any, bool]:
    """Returns Ray, connected, and whether the cluster was there before.

    Raises:
        ValueError: Ray is not installed, or nothing answers at the address.
    """
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise ValueError("--engine ray needs Ray, which is optional: pip install -r requirements-scale.txt") from None
    if ray.is_initialized():
        return ray, True
    known: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "configure_logging": False}
    if address == "auto":
        with contextlib.suppress(ConnectionError):
            ray.init("auto", log_to_driver=False)
            return ray, False
    try:
        ray.init(None, **known) if address in ("auto", "local") else ray.init(address, log_to_driver=False)
    except (ConnectionError, RuntimeError) as error:
        raise ValueError(f"--ray-address {address}: no Ray cluster answers there ({error})") from None
    return ray, False


def work(task: RemoteTask, names: Sequence[str], board: Any, *contents: Any) -> Delivery:
    """Runs one job on a node; the node's process may have run others before."""
    _limit_threads(task.threads)
    import ray

    context = ray.get_runtime_context()
    place = f"node {context.get_node_id()[:8]}, process {os.getpid()}"
    known: Parcel = ray.get(board.begin.remote(task.job.name, place))
    with _in_folder(task.folder):
        if task.folder is not None:
            return Delivery(attempt(task.job), None)
        unpack(dict(zip(names, contents, strict=True)))
        unpack(known)
        with _handing_in(task.job, board, task.hand_in):
            answer = attempt(task.job)
        return Delivery(answer, _made(task.job, dict(zip(names, contents, strict=True))))


def _made(job: Job, before: Parcel) -> Parcel:
    """Returns the files that a job wrote: those of its folders that are new or other ones, and those it appended to."""
    found = pack(job.writes) | content_of(job.appends)
    return {path: content for path, content in found.items() if not _equal(before.get(path), content)}


def _equal(one: Any, other: Any) -> bool:
    return one is not None and len(one) == len(other) and bool((one == other).all())


@contextlib.contextmanager
def _handing_in(job: Job, board: Any, seconds: float) -> Iterator[None]:
    """Hands in the files of a job whenever it has written another state, as long as the block lasts.

    The state is read first. What is read after it may be newer, as after any kill; the other way round a run would
    continue with a checkpoint that is older than its state.
    """
    import ray

    over = threading.Event()

    def look() -> None:
        known = stamps(state_files(job.writes))
        while not over.wait(seconds):
            now = stamps(state_files(job.writes))
            if now != known:
                state = content_of(now)
                ray.get(board.hand_in.remote(job.name, pack(job.writes) | state))
            known = now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _in_folder(folder: str | None) -> Iterator[None]:
    """Works in `folder`, or in an empty one that is removed afterwards."""
    before = os.getcwd()
    with contextlib.ExitStack() as stack:
        os.chdir(folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="factorgym-")))
        try:
            yield
        finally:
            os.chdir(before)


def _limit_threads(count: int) -> None:
    os.environ.update(dict.fromkeys(THREADS, str(count)))  # read when a library is first imported, so before any job
