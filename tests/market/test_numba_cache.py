"""Compiled code has a place although neither the installation nor the home can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from market import numba_cache

ROOT = Path(__file__).parents[2]


def test_a_writable_place_is_left_to_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(numba_cache.VARIABLE, raising=False)
    numba_cache.choose_cache()
    assert numba_cache.VARIABLE not in os.environ


@pytest.mark.parametrize("home", ["/no/such/home", ""])
def test_without_one_it_is_a_temporary_folder(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.delenv(numba_cache.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "access", lambda *_: False)
    numba_cache.choose_cache()
    assert "factorgym-numba" in os.environ[numba_cache.VARIABLE]
    monkeypatch.setenv(numba_cache.VARIABLE, "mine")
    numba_cache.choose_cache()
    assert os.environ[numba_cache.VARIABLE] == "mine"


def test_the_choice_comes_before_numba() -> None:
    code = (
        "import os; os.access = lambda *_: False; os.environ.pop('NUMBA_CACHE_DIR', None)\n"
        "import market, sys; assert 'numba' not in sys.modules; print(os.environ['NUMBA_CACHE_DIR'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "factorgym-numba" in done.stdout
