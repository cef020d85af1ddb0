"""A walk in a process of its own, killed with SIGKILL: the same command ends in the same files."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from configs import files
from market.panel import Panel
from tests.pipeline.test_refitting import WALK, bars, files_of, walk
from tools.walk import main

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 300  # seconds
__all__ = ["bars"]


def fitted(workdir: Path) -> bool:
    """Whether the second refit of five is finished."""
    return len(list((workdir / "pretrain").glob("*/metrics.json"))) >= 2


def stitching(workdir: Path) -> bool:
    """Whether the stitched states are being written."""
    return any((workdir / "states" / "walk").glob("*.part*")) or (workdir / "states/walk/states.safetensors").exists()


def kill(command: list[str], moment: Callable[[Path], bool], workdir: Path) -> None:
    """Starts the command and kills it at a moment."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE
    while not moment(workdir):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_walk_killed_with_sigkill_twice_ends_in_the_same_files(bars: Panel, tmp_path: Path) -> None:
    """Killed between two refits, continued, killed while stitching, and continued."""
    walk(bars, tmp_path)
    expected = files_of(tmp_path)
    for part in ("pretrain", "states", "walk"):
        shutil.rmtree(tmp_path / part)
    config = tmp_path / "walk_config.py"
    panel = str(tmp_path / "panel.safetensors")
    config.write_text(files.source_text(replace(WALK, experiment=replace(WALK.experiment, panel=panel))))
    command = [sys.executable, "-m", "tools.walk", "--config", str(config), "--workdir", str(tmp_path)]
    kill(command, fitted, tmp_path)
    assert not stitching(tmp_path)
    kill(command, stitching, tmp_path)
    assert not (tmp_path / "walk" / "walk" / "metrics.json").exists()
    main(command[3:])
    found = files_of(tmp_path)
    assert found.keys() == expected.keys()
    assert [name for name, content in found.items() if content != expected[name]] == []
    assert not list(tmp_path.rglob("*.part"))
