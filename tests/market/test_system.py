"""Locks and renamed files behave alike on every system; Windows' own calls stand in one module."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from market.storage import system

ROOT = Path(__file__).parents[2]


def test_a_lock_is_held_by_one_process_and_freed_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ask = f"from market.storage.system import try_lock\nwith open({str(path)!r}, 'a') as f: print(try_lock(f.fileno()))"
    with open(path, "a") as handle:
        assert system.try_lock(handle.fileno())
        asked = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
        assert asked.stdout.strip() == "False"
    asked = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "True"


def test_windows_locks_a_byte_behind_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def locking(file: int, mode: int, count: int) -> None:
        seen.append((os.lseek(file, 0, os.SEEK_CUR), count))
        if len(seen) > 1:
            raise PermissionError(13, "held")

    monkeypatch.setattr(system, "HAS_FLOCK", False)
    monkeypatch.setattr(system, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2), raising=False)
    with open(tmp_path / "lock", "w+") as handle:
        handle.write("123")
        handle.flush()
        assert system.try_lock(handle.fileno())
        assert os.lseek(handle.fileno(), 0, os.SEEK_CUR) == 3
        assert not system.try_lock(handle.fileno())
    assert seen == [(system.FAR, 1)] * 2


def test_no_other_module_asks_for_what_windows_lacks() -> None:
    folders = ("market", "encoders", "envs", "agents", "evaluation", "pipeline", "configs", "tools", "factorgym")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py") if file.name != "system.py"]
    assert len(files) > 200
    for file in files:
        source = file.read_text(encoding="utf-8")
        assert "fcntl" not in source, file
        assert "os.fsync" not in source, file


def test_an_old_file_is_exchanged(tmp_path: Path) -> None:
    (tmp_path / "aside").write_text("new")
    (tmp_path / "final").write_text("old")
    system.flush_file(tmp_path / "aside")
    system.exchange(tmp_path / "aside", tmp_path / "final")
    assert (tmp_path / "final").read_text() == "new"
    assert not (tmp_path / "aside").exists()
