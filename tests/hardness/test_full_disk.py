"""A full disk: the stage ends with one line that names the file, and what was there before is as it was.

The system's limit on the size of a file (`RLIMIT_FSIZE`) stands for the end of a disk: it needs no privileges and fails
the same calls. A disk that ends within a mapped file kills a process instead of failing a call; that its room is taken
beforehand is tested by itself.
"""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from market.artifacts import TRIALS
from market.storage.array_file import ArraySpec, arrays_in_place, write_arrays, write_json
from market.storage.ledger import Ledger, Look
from pipeline.hyperparameters import TrialJournal
from tests.hardness.conftest import Stages
from tests.hardness.victims import Victim, finish, made, start

ROOM = {"download": 60_000, "prepare": 12_000, "pretrain": 12_000, "extract": 12_000, "train": 12_000, "sweep": 9_500}
"""Bytes: more than a configuration, less than the largest array file of the stage."""


def fails(victim: Victim, where: Path, port: int, room: int) -> str:
    """Returns what a stage says of itself on a disk without room."""
    process = start(victim, where, port, room=room)
    process.join()
    said = (where / "stderr").read_text()
    assert process.exitcode == 1, said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("error: "), said
    return last


@pytest.mark.parametrize("name", ["download", "prepare", "extract"])
def test_what_was_finished_stays_when_it_cannot_be_made_again(name: str, stages: Stages, tmp_path: Path) -> None:
    victim, where, port = stages[name], stages.arena(tmp_path / "where"), stages.port
    finish(victim, where, port)
    before = made(victim, where)
    again = replace(victim, argv=(*victim.argv, "--overwrite"))
    assert re.match(r"error: \[Errno 27\] File too large: '.*safetensors'", fails(again, where, port, ROOM[name]))
    assert made(victim, where) == before
    finish(again, where, port)
    after = made(victim, where)
    panels_and_states = [path for path in before if path.endswith(".safetensors")]
    assert panels_and_states
    assert {path: after[path] for path in panels_and_states} == {path: before[path] for path in panels_and_states}


@pytest.mark.parametrize(("name", "renamings"), [("download", 3), ("prepare", 3), ("pretrain", 12), ("train", 10)])
def test_what_was_interrupted_goes_on_when_there_is_room_again(
    name: str, renamings: int, stages: Stages, tmp_path: Path
) -> None:
    victim, where, port = stages[name], stages.arena(tmp_path / "where"), stages.port
    start(victim, where, port, deadly=renamings).join()
    before = made(victim, where)
    assert "File too large" in fails(victim, where, port, ROOM[name])
    after = made(victim, where)
    arrays = [path for path in before if path.endswith(".safetensors")]
    assert arrays or name == "prepare"
    assert {path: after[path] for path in arrays} == {path: before[path] for path in arrays}
    assert not [path for path in after if path.endswith(".part")]
    finish(victim, where, port)
    assert made(victim, where) == stages.whole(name)


def test_a_sweep_goes_on_when_there_is_room_again(stages: Stages, tmp_path: Path) -> None:
    """The first trial, of the smaller net, fits; the next one does not."""
    victim, where = stages["sweep"], stages.arena(tmp_path / "where")
    for _ in range(2):
        said = fails(victim, where, stages.port, ROOM["sweep"])
        assert re.match(r"error: \[Errno 27\] File too large: '.*trial_1/.*safetensors'; make room", said)
        after = trials_of(victim, where)
        assert not [path for path in after if path.endswith(".part")]
        assert "workdir/sweep/tiny/trial_0/metrics.json" in after
        assert "workdir/sweep/tiny/trial_1/metrics.json" not in after
    first = {path: content for path, content in after.items() if "trial_0" in path}
    finish(victim, where)
    end, whole = trials_of(victim, where), stages.whole("sweep")
    assert end == {path: content for path, content in whole.items() if TRIALS not in path}
    assert {path: end[path] for path in first} == first


@contextmanager
def files_of_at_most(room: int) -> Iterator[None]:
    """Limits the size of files that this very process writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_of_the_record_of_trials_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / TRIALS
    journal = TrialJournal(str(path))
    journal.append_logs([{"op_code": 0}])
    before = path.read_bytes()
    with files_of_at_most(len(before) + 5), pytest.raises(OSError, match=r"File too large: '.*trials\.journal'"):
        journal.append_logs([{"op_code": 1, "more": "x" * 100}])
    assert path.read_bytes() == before
    journal.append_logs([{"op_code": 2}])
    assert [one["op_code"] for one in TrialJournal(str(path)).read_logs(0)] == [0, 2]


def test_half_a_line_that_a_killed_sweep_left_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / TRIALS
    path.write_bytes(b'{"op_code":0}\n{"op_co')
    journal = TrialJournal(str(path))
    journal.append_logs([{"op_code": 2}])
    assert [one["op_code"] for one in journal.read_logs(0)] == [0, 2]


def test_a_look_that_does_not_fit_damages_no_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    look = Look("train", "valid", "run", "0" * 16, 0, ("0" * 16,), None, "0" * 8)
    ledger.enter([look])
    before = ledger.path.read_bytes()
    with files_of_at_most(len(before) + 5), pytest.raises(ValueError, match=r"ledger\.jsonl: .*File too large"):
        ledger.enter([look, look])
    assert ledger.path.read_bytes() == before
    ledger.enter([look])
    assert len(ledger.looks()) == 2


def trials_of(victim: Victim, where: Path) -> dict[str, bytes]:
    """Returns what a sweep has made but for the record of its trials, which carries the time of day."""
    return {path: content for path, content in made(victim, where).items() if TRIALS not in path}


def test_without_room_even_for_cookies_a_download_is_one_line(stages: Stages, tmp_path: Path) -> None:
    assert "cookies" in fails(stages["download"], stages.arena(tmp_path / "where"), stages.port, room=4096)


def test_the_room_of_a_mapped_file_is_taken_before_anything_is_written_to_it(tmp_path: Path) -> None:
    spec = {"x": ArraySpec((200_000,), np.dtype("f8"))}
    with arrays_in_place(tmp_path / "a.safetensors", spec, {"kind": "thing", "version": 1}) as mapped:
        [aside] = tmp_path.iterdir()
        assert aside.stat().st_blocks * 512 >= mapped["x"].nbytes


def test_the_error_names_the_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()

    def full(self: Path, text: str, encoding: str) -> int:
        with open(self, "w", encoding=encoding) as handle:
            handle.write(text[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.json'"):
        write_json(path, {"a": 2})
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before


def test_arrays_that_do_not_fit_leave_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    write_arrays(path, {"x": np.arange(3.0)}, {"kind": "thing", "version": 1})
    before = path.read_bytes()

    def full(file: int, first: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.safetensors'"):
        write_arrays(path, {"x": np.arange(9.0)}, {"kind": "thing", "version": 1})
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before
