"""Modules that moved: scripts of earlier versions still import them, and are told where they are."""

import importlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from market.moved import MODULES

ROOT = Path(__file__).parent.parent.parent


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_address_of_today_is_a_module_and_no_old_one_is() -> None:
    for old, new in MODULES.items():
        assert find_spec(new) is not None, new
        assert not (ROOT / f"{old.replace('.', '/')}.py").exists(), old
        assert not (ROOT / old.replace(".", "/")).exists(), old


def test_every_old_address_gives_what_the_module_of_today_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in MODULES.items():  # a package comes before its modules, which import it
        monkeypatch.delitem(sys.modules, old, raising=False)
        with pytest.warns(DeprecationWarning, match=rf"^{re.escape(old)} is now {re.escape(new)}; import that$"):
            module = importlib.import_module(old)
        home = importlib.import_module(new)
        held = [name for name, value in vars(home).items() if getattr(value, "__module__", None) == new]
        held = held or [name for name in vars(home) if not name.startswith("_")]
        assert held, new
        assert all(getattr(module, name) is getattr(home, name) for name in held), old


def test_an_old_address_gives_the_classes_of_today_and_says_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "encoders.schedule", raising=False)
    with pytest.warns(DeprecationWarning, match=r"encoders\.schedule is now encoders\.training\.optim"):
        old = importlib.import_module("encoders.schedule")
    new = importlib.import_module("encoders.training.optim")
    assert old.Optim is new.Optim
    assert new.__name__ == new.__spec__.name == "encoders.training.optim"
    with pytest.raises(AttributeError):
        _ = old.Nothing


def test_old_addresses_are_found_as_the_first_thing_a_script_imports() -> None:
    for line in ("from encoders.recurrent import GRU", "from envs.positions import SellHoldBuy"):
        done = run(f"{line}; print('there')", "-W", "ignore")
        assert done.stdout == "there\n", done.stderr


def test_a_name_that_never_was_is_no_module() -> None:
    with pytest.raises(ModuleNotFoundError, match="never"):
        importlib.import_module("encoders.never")
