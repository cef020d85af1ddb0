"""A full disk: the stage ends with one line that names the file, and what was there before is as it was.

The system's limit on the size of a file (`RLIMIT_FSIZE`) stands for the end of a disk: it needs no privileges and fails
the same calls. A disk that ends within a mapped file kills a process instead of failing a call; that its room is taken
beforehand is tested by itself.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from market.storage.array_file import ArraySpec, arrays_in_place, write_arrays, write_json
from tests.hardness.conftest import Stages
from tests.hardness.victims import Victim, finish, made, start

ROOM = {"download": 60_000, "prepare": 12_000, "pretrain": 12_000, "extract": 12_000, "train": 12_000}
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
