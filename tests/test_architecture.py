"""The direction of imports, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ("market", "encoders", "envs", "agents", "evaluation")
ALLOWED = {
    "market": {"market"},
    "encoders": {"market", "encoders", "evaluation.prediction"},
    "envs": {"market", "envs"},
    "agents": {"market", "envs", "agents"},
    "evaluation": {"market", "envs", "evaluation"},
}
NO_TORCH = ("market", "envs", "evaluation")


def imported(source: str) -> set[str]:
    """Returns the absolute modules that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this project"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def violations(package: str, names: set[str]) -> list[str]:
    """Returns the imports that `package` may not have."""
    ours = {name for name in names if name.split(".")[0] in (*LIBRARY, "configs", "tools", "benchmarks", "tests")}
    allowed = ALLOWED[package]
    wrong = {name for name in ours if not any(name == one or name.startswith(f"{one}.") for one in allowed)}
    # `from evaluation import prediction` and `from evaluation.prediction import x` both also name the bare package.
    wrong -= {name for name in wrong if any(one.startswith(f"{name}.") and one in names for one in allowed)}
    if package in NO_TORCH:
        wrong |= {name for name in names if name.split(".")[0] in ("torch", "accelerate", "stable_baselines3")}
    return sorted(wrong)


@pytest.mark.parametrize("package", LIBRARY)
def test_imports_point_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} holds no code"
    wrong = {str(file.relative_to(ROOT)): violations(package, imported(file.read_text())) for file in files}
    assert not {file: names for file, names in wrong.items() if names}


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("envs", "import torch"),
        ("envs", "from encoders.base import State"),
        ("agents", "from encoders import base"),
        ("evaluation", "from agents.baselines.simple import Cash"),
        ("market", "def f():\n    import tools.cli"),
        ("encoders", "from evaluation.performance import sharpe"),
    ],
)
def test_a_forbidden_import_is_seen(package: str, line: str) -> None:
    assert violations(package, imported(line))


def test_an_allowed_import_is_not() -> None:
    assert not violations("encoders", imported("from evaluation.prediction import daily_ic\nimport torch"))
    assert not violations("evaluation", imported("from envs import Tape\nimport numpy as np"))


def test_nothing_is_unpickled() -> None:
    for file in sorted(ROOT.glob("*/**/*.py")):
        if file.parts[len(ROOT.parts)] in (".venv", "tests"):
            continue
        names = imported(file.read_text())
        assert not {
            name for name in names if name.split(".")[0] in ("pickle", "joblib", "dill", "cloudpickle", "shelve")
        }, file
