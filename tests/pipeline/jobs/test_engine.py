"""Engines: order, deaths and mistakes, and the same files from one process as from several."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job, connected, ordered
from pipeline.jobs.parcels import append_lines, content_of, pack, unpack
from pipeline.results import SILENT, GraphProgress
from pipeline.run_directory import lock, waiting_for_locks
from tests.pipeline.jobs.notes import Nap, Note
from tests.pipeline.jobs.work import agents, bars, encoders, made
from tests.pipeline.test_stages import EVALUATE

TWO = Engine(jobs=2)


def diamond(workdir: Path, **changes: Any) -> list[Job]:
    """Returns four jobs listed backwards: d after b and c, which come after a."""
    where = str(workdir)
    jobs: dict[str, Job] = {
        "d": Note("d", where, after=("b", "c")),
        "c": Note("c", where, after=("a",)),
        "b": Note("b", where, after=("a",)),
        "a": Note("a", where),
    }
    return [replace(job, **changes.get(name, {})) for name, job in jobs.items()]


@pytest.mark.parametrize("engine", [HERE, TWO], ids=["here", "processes"])
def test_a_job_runs_once_after_all_that_it_waits_for(engine: Engine, tmp_path: Path) -> None:
    told: list[str] = []
    observer = replace(SILENT, finished=lambda one: told.append(one) if isinstance(one, str) else None)
    execute(diamond(tmp_path), engine, observer)
    assert (tmp_path / "d" / "said").read_text() == "d(b(a())c(a()))"
    assert sorted(told) == ["a()", "b(a())", "c(a())", "d(b(a())c(a()))"]
    assert {(tmp_path / name / "starts").read_text() for name in "abcd"} == {"x"}


def test_a_job_whose_process_dies_is_started_again(tmp_path: Path) -> None:
    seen: list[GraphProgress] = []
    observer = replace(SILENT, finished=lambda one: seen.append(one) if isinstance(one, GraphProgress) else None)
    execute(diamond(tmp_path, b={"kills": 2}), TWO, observer)
    assert (tmp_path / "d" / "said").read_text() == "d(b(a())c(a()))"
    starts = {job.name: job.starts for job in seen[-1].jobs}
    assert starts == {"a": 1, "b": 3, "c": 1, "d": 1}
    assert seen[-1].is_over
    assert any(job.state == "running" and "process" in job.place for one in seen for job in one.jobs)


def test_a_job_that_always_dies_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"b: its process was ended by SIGKILL, for the 4th time; if memory was short"):
        execute(diamond(tmp_path, b={"kills": 99}), TWO)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("engine", [HERE, TWO], ids=["here", "processes"])
def test_a_mistake_ends_the_whole_and_is_told(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong on purpose"):
        execute(diamond(tmp_path, a={"fails": "wrong on purpose"}), engine)
    assert not (tmp_path / "b").exists()


def test_what_runs_when_another_fails_is_let_finish(tmp_path: Path) -> None:
    where = str(tmp_path)
    jobs = [Nap("slow", where), Note("fails", where, fails="no"), Note("later", where)]
    with pytest.raises(ValueError, match="fails: no"):
        execute(jobs, TWO)
    assert (tmp_path / "slow" / "said").exists()


def test_jobs_that_cannot_be_ordered_are_refused(tmp_path: Path) -> None:
    a, b = Note("a", "w", after=("b",)), Note("b", "w", after=("a",))
    with pytest.raises(ValueError, match="a, b wait for each other"):
        ordered([a, b])
    with pytest.raises(ValueError, match="a waits for 'b', which is none of the 1 jobs"):
        ordered([a])
    with pytest.raises(ValueError, match="a: two runs have this name"):
        ordered([a, a])


def test_a_job_waits_for_those_that_write_what_it_reads(tmp_path: Path) -> None:
    class Reader(Note):
        @property
        def reads(self) -> tuple[str, ...]:
            return (f"{self.workdir}/writer/said",)

    jobs = connected([Reader("reader", str(tmp_path)), Note("writer", str(tmp_path)), Note("writer2", str(tmp_path))])
    assert {job.name: job.after for job in jobs} == {"writer": (), "reader": ("writer",), "writer2": ()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jobs": -1}, "jobs -1"),
        ({"threads": 0}, "threads 0"),
        ({"return_files": True}, "use --engine ray"),
        ({"gpus": 1.0}, "use --engine ray"),
    ],
)
def test_an_engine_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Engine(**changes)


def test_several_processes_of_a_launcher_cannot_start_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="start it without a launcher"):
        execute(diamond(tmp_path), TWO)


def test_a_job_waits_for_a_lock_that_a_person_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with lock(folder):
        with pytest.raises(ValueError, match=f"process {os.getpid()} works on it"), lock(folder):
            pass
        with pytest.raises(ValueError, match="works on it"), waiting_for_locks(0.5), lock(folder):
            pass
    with waiting_for_locks(0.5), lock(folder):
        pass


def test_a_parcel_brings_files_to_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"run/a.bin": "a", "run/deep/b.json": "b", "run/.c.part": "c", "data/p.bin": "p"}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    Path("data/p.json").write_text("about p")
    Path("data/other.bin").write_text("not asked for")
    parcel = pack(["run", "data/p.bin", "nowhere"])
    assert list(parcel) == ["run/a.bin", "run/deep/b.json", "data/p.bin", "data/p.json"]
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    unpack(parcel)
    assert {path: Path(path).read_bytes() for path in parcel} == {path: one.tobytes() for path, one in parcel.items()}
    stamp = Path("run/a.bin").stat().st_mtime_ns
    unpack(parcel)
    assert Path("run/a.bin").stat().st_mtime_ns == stamp


def test_lines_of_several_jobs_are_put_together(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text("1\n")
    before = content_of([str(ledger)])[str(ledger)]
    for line in ("2\n", "3\n"):
        copy = tmp_path / "copy"
        copy.write_bytes(before.tobytes() + line.encode())
        append_lines(str(ledger), before, content_of([str(copy)])[str(copy)])
    assert ledger.read_text() == "1\n2\n3\n"


def compared(workdir: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs encoders, the states of one and agents on them, all named below a relative working directory."""
    workdir.mkdir()
    monkeypatch.chdir(workdir)
    Path("w").mkdir()
    panel = bars(Path("w/panel.safetensors"))
    runs = [*encoders(panel), *agents(panel)]
    pipeline.compare(runs, settings=EVALUATE, workdir="w", engine=engine)
    return workdir / "w"


def test_processes_leave_what_one_process_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretraining, extraction, agents seed by seed, and evaluation: every file is equal to the bit."""
    one = compared(tmp_path / "one", HERE, monkeypatch)
    several = compared(tmp_path / "several", TWO, monkeypatch)
    left, right = made(one), made(several)
    assert list(left) == list(right)
    assert [name for name in left if left[name] != right[name]] == []
    assert {"states/ridge/states.safetensors", "evaluate/comparison/comparison.json"} <= set(left)
