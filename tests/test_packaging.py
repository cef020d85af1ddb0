"""What the wheel promises: the same libraries as requirements.txt, at versions that satisfy both."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def test_wheel_and_requirements_name_the_same_libraries() -> None:
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == set(pins())


def test_every_pin_satisfies_the_range_of_the_wheel() -> None:
    pinned = pins()
    for line in PROJECT["dependencies"]:
        wanted = Requirement(line)
        assert Version(pinned[wanted.name]) in wanted.specifier, line


def test_torch_is_pinned_exactly() -> None:
    assert re.search(r"^torch==[\d.]+$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_optional_libraries_are_no_requirements() -> None:
    names = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert not names & {"vqtorch", "cupy-cuda12x", "ray"}
    assert {"gpu", "scale", "dev", "docs"} <= set(PROJECT["optional-dependencies"])
