"""`kill -9` at random moments, and around every renaming of a file: the same command again ends in the same files."""

import itertools
import random
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.hardness.conftest import Stages
from tests.hardness.victims import finish, made, start, wipe

KILLS = {"download": 4, "prepare": 4, "pretrain": 5, "extract": 4, "train": 5}
"""At random moments; those around renamings come on top."""


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(name: str, stages: Stages, tmp_path: Path) -> None:
    victim, where, wanted = stages[name], stages.arena(tmp_path / "where"), stages.whole(name)
    chance, kills = random.Random(name), 0
    while kills < KILLS[name]:
        process = start(victim, where, stages.port)
        process.join(chance.uniform(0.02, 0.98) * stages.lasts(name))
        if process.exitcode is None:
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL:
            kills += 1
        else:  # it was over before its time
            assert_over(process, where)
            assert_same(made(victim, where), wanted)
            wipe(where)
    process = start(victim, where, stages.port)
    process.join()
    assert_over(process, where)
    assert_same(made(victim, where), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_before_and_after_its_renamings_it_ends_as_if_it_had_not_been(
    name: str, stages: Stages, tmp_path: Path
) -> None:
    victim, where = stages[name], stages.arena(tmp_path / "where")
    for renaming in itertools.count(1):
        process = start(victim, where, stages.port, deadly=renaming)
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
    assert renaming > 3
    assert_over(process, where)
    assert_same(made(victim, where), stages.whole(name))


def test_what_is_compared_is_what_was_made(stages: Stages, tmp_path: Path) -> None:
    where = stages.arena(tmp_path / "where")
    finish(stages["prepare"], where)
    found = made(stages["prepare"], where)
    assert {Path(name).name for name in found} == {"config.json", "config.py", "panel.safetensors", "quality.json"}
    with pytest.raises(AssertionError, match="panel"):
        assert_same({**found, "workdir/data/tiny/panel.safetensors": b"x"}, stages.whole("prepare"))


def assert_over(process: BaseProcess, where: Path) -> None:
    """Ended well, or refused as finished: then a kill had come between the last file and the end of the process."""
    if process.exitcode == 1:
        assert "this run is finished" in (where / "stderr").read_text()
    else:
        assert process.exitcode == 0


def assert_same(found: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, content in wanted.items():
        assert found[name] == content, f"{name} differs"
