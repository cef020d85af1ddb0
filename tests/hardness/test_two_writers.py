"""Two processes and one run directory: the second refuses, whatever the stage, and the first is not disturbed."""

import os
from pathlib import Path

import pytest

from pipeline.run_directory import lock
from tests.hardness.conftest import Stages
from tests.hardness.victims import made, start
from tests.tools import trade_runs
from tools import download, evaluate, extract_state, prepare, pretrain, train

MAINS = {
    "download": download.main,
    "prepare": prepare.main,
    "pretrain": pretrain.main,
    "extract": extract_state.main,
    "train": train.main,
}


@pytest.mark.parametrize("name", MAINS)
def test_a_second_process_refuses_by_the_number_of_the_first(
    name: str, stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, where = stages[name], stages.arena(tmp_path / "where")
    monkeypatch.chdir(where)
    folder = Path(victim.made[-1])
    with lock(folder), pytest.raises(ValueError, match=f"tiny: process {os.getpid()} works on it; wait for it"):
        MAINS[name]([*victim.argv])
    assert made(victim, where) == {}


def test_an_evaluation_refuses_too(tmp_path: Path) -> None:
    trade_runs.market(tmp_path)
    folder = tmp_path / "evaluate" / "x"
    with lock(folder), pytest.raises(ValueError, match=f"x: process {os.getpid()} works on it"):
        evaluate.main(["--run", str(tmp_path / "trade" / "x"), "--workdir", str(tmp_path)])


def test_of_two_that_start_together_one_does_the_work(stages: Stages, tmp_path: Path) -> None:
    victim, where = stages["train"], stages.arena(tmp_path / "where")
    both = [start(victim, where) for _ in range(2)]
    for process in both:
        process.join()
    codes = sorted(process.exitcode or 0 for process in both)
    assert codes == [0, 1]
    assert made(victim, where) == stages.whole("train")
