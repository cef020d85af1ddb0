"""Jobs on a Ray cluster of two nodes with one processor each: placed on both, and none lost when a node is."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is optional: pip install -r requirements-scale.txt")

from ray.cluster_utils import Cluster  # noqa: E402

import pipeline  # noqa: E402
from configs.schema.sweep import Choice, LogUniform, Sweep  # noqa: E402
from pipeline.jobs import cluster as module  # noqa: E402
from pipeline.jobs.engine import HERE, Engine, execute  # noqa: E402
from pipeline.jobs.job import Job  # noqa: E402
from pipeline.results import SILENT, GraphProgress  # noqa: E402
from tests.pipeline.jobs.notes import Count, Note  # noqa: E402
from tests.pipeline.jobs.work import agents, bars, encoders, made  # noqa: E402
from tests.pipeline.test_stages import EVALUATE  # noqa: E402

RAY = Engine(kind="ray")
RETURNED = replace(RAY, return_files=True)


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def second(head: Any) -> Iterator[Any]:
    node = head.add_node(num_cpus=1)
    yield node
    if node in head.worker_nodes:
        head.remove_node(node)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Watch:
    """Follows jobs, and loses a node as soon as a job that runs there has written a state."""

    def __init__(self, head: Any, node: Any, has_state: Callable[[str], bool]) -> None:
        self.head, self.node, self.has_state = head, node, has_state
        self.progress: list[GraphProgress] = []
        self.lost: str | None = None
        self._over = threading.Event()

    def told(self, result: Any) -> None:
        if isinstance(result, GraphProgress):
            self.progress.append(result)

    def __enter__(self) -> Any:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return replace(SILENT, finished=self.told)

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while self.lost is None and not self._over.wait(0.05):
            jobs = self.progress[-1].jobs if self.progress else ()
            there = [job.name for job in jobs if self.node.node_id[:8] in job.place and job.state == "running"]
            self.lost = next((name for name in there if self.has_state(name)), None)
        if self.lost is not None:
            self.head.remove_node(self.node, allow_graceful=False)

    @property
    def starts(self) -> dict[str, int]:
        return {job.name: job.starts for job in self.progress[-1].jobs}


@pytest.mark.parametrize("engine", [RAY, RETURNED], ids=["shared", "returned"])
def test_jobs_run_in_order_and_their_files_are_here(engine: Engine, second: Any, here: Path) -> None:
    jobs: list[Job] = [
        Note("d", "w", after=("b", "c")),
        Note("c", "w", after=("a",)),
        Note("b", "w", after=("a",), kills=0 if engine.return_files else 1),
        Note("a", "w"),
    ]
    execute(jobs, engine)
    assert Path("w/d/said").read_text() == "d(b(a())c(a()))"


def test_a_mistake_is_told_as_everywhere(second: Any, here: Path) -> None:
    with pytest.raises(ValueError, match="a: wrong on purpose"):
        execute([Note("a", "w", fails="wrong on purpose"), Note("b", "w", after=("a",))], RAY)
    assert not Path("w/b").exists()


def test_jobs_run_on_both_nodes(second: Any, here: Path) -> None:
    watch = Watch(None, second, lambda name: False)
    with watch as observer:
        execute([Count(f"count {k}", "w", steps=8) for k in range(4)], RAY, observer)
    nodes = {job.place.split(",")[0] for one in watch.progress for job in one.jobs if job.place}
    assert len(nodes) == 2


@pytest.mark.parametrize("engine", [RAY, RETURNED], ids=["shared", "returned"])
def test_a_lost_node_costs_what_was_since_the_last_state(
    engine: Engine, head: Any, second: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HAND_IN", 0.1)
    made_here: list[Any] = []

    class Remembered(module.RayWorkers):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made_here.append(self)

    monkeypatch.setattr(module, "RayWorkers", Remembered)

    def has_state(name: str) -> bool:
        if engine.return_files:
            return bool(ray.get(made_here[-1].board.kept.remote(name)))
        state = Path("w", name, "last.safetensors")
        return state.exists() and int(state.read_text()) > 2

    answers: dict[str, int] = {}
    watch = Watch(head, second, has_state)
    with watch as observer:
        jobs = [Count(f"count {k}", "w", steps=20) for k in range(2)]
        execute(jobs, engine, observer, ended=lambda job, answer: answers.update({job.name: answer}))
    assert watch.lost is not None
    assert watch.starts == {name: 2 if name == watch.lost else 1 for name in answers}
    assert answers[watch.lost] < 20
    assert {Path("w", name, "work").read_text() for name in answers} == {"20"}


def everything(folder: Path, engine: Engine, observer: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Runs a comparison of encoders and of agents with two seeds each, and a sweep, and returns their files."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("w").mkdir()
    panel = bars(Path("w/panel.safetensors"))
    ridge, gru = encoders(panel)
    gru = replace(gru, optim=replace(gru.optim, epochs=40, patience=None))
    seeds = (0, 1)
    pipeline.compare([ridge, gru], seeds=seeds, workdir="w", name="encoders", observer=observer, engine=engine)
    runs = [ridge, *agents(panel)]
    pipeline.compare(runs, settings=EVALUATE, workdir="w", name="agents", observer=observer, engine=engine)
    dimensions = (Choice("encoder.hidden", (2, 4)), LogUniform("optim.learning_rate", 1e-4, 1e-1))
    short = replace(gru, optim=replace(gru.optim, epochs=3))
    search = Sweep("found", short, dimensions, trials=8, random_trials=3, warmup_epochs=1, parallel=2)
    pipeline.sweep(search, "w", observer=observer, engine=engine)
    return made(folder / "w")


@pytest.mark.slow
@pytest.mark.parametrize("engine", [RAY, RETURNED], ids=["shared", "returned"])
def test_a_cluster_that_loses_a_node_leaves_what_one_process_leaves(
    engine: Engine, head: Any, second: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: dict[str, float] = {}

    def has_state(name: str) -> bool:
        return "gru" in name and time.monotonic() - began.setdefault(name, time.monotonic()) > 4.0

    watch = Watch(head, second, has_state)
    with watch as observer:
        found = everything(tmp_path / "ray", engine, observer, monkeypatch)
    assert watch.lost is not None
    assert any(job.starts == 2 for one in watch.progress for job in one.jobs)
    expected = everything(tmp_path / "one", HERE, SILENT, monkeypatch)
    assert list(found) == list(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
