"""The direction of imports and the habits of the house, read from the code itself."""

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ("market", "encoders", "envs", "agents", "evaluation")
ABOVE = ("pipeline", "configs", "tools", "benchmarks", "tests")
"""Packages that use the library; it never uses them."""
ALLOWED = {
    "market": {"market"},
    "encoders": {"market", "encoders", "evaluation.prediction"},
    "envs": {"market", "envs"},
    "agents": {"market", "envs", "agents"},
    "evaluation": {"market", "envs", "evaluation"},
    "pipeline": {*LIBRARY, "configs", "pipeline"},
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
    ours = {name for name in names if name.split(".")[0] in (*LIBRARY, *ABOVE)}
    allowed = ALLOWED[package]
    wrong = {name for name in ours if not any(name == one or name.startswith(f"{one}.") for one in allowed)}
    # `from evaluation import prediction` and `from evaluation.prediction import x` both also name the bare package.
    wrong -= {name for name in wrong if any(one.startswith(f"{name}.") and one in names for one in allowed)}
    if package in NO_TORCH:
        wrong |= {name for name in names if name.split(".")[0] in ("torch", "accelerate", "stable_baselines3")}
    return sorted(wrong)


@pytest.mark.parametrize("package", ALLOWED)
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
        ("evaluation", "import pipeline"),
        ("agents", "from pipeline.results import SILENT"),
        ("pipeline", "from tools import train"),
        ("pipeline", "import benchmarks.features"),
    ],
)
def test_a_forbidden_import_is_seen(package: str, line: str) -> None:
    assert violations(package, imported(line))


def test_an_allowed_import_is_not() -> None:
    assert not violations("encoders", imported("from evaluation.prediction import daily_ic\nimport torch"))
    assert not violations("evaluation", imported("from envs import Tape\nimport numpy as np"))
    assert not violations("pipeline", imported("import torch\nfrom configs.files import load_json"))


def circle(sources: Mapping[str, str]) -> list[str]:
    """Returns modules that import each other in a circle, at any depth of their code; none where there is no circle."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        named = imported(source) & sources.keys()
        packages = {name for name in named if any(other.startswith(f"{name}.") for other in named)}
        graph[module] = named - packages - {module}  # `from package import module` imports the module
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    sources = {}
    for file in (file for package in HOUSE for file in sorted((ROOT / package).rglob("*.py"))):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        sources[name] = file.read_text()
    assert len(sources) > 300
    assert circle(sources) == []


def test_a_circle_is_seen() -> None:
    sources = {"a": "import b", "b": "def f():\n    from p import c", "p": "", "p.c": "import a"}
    assert set(circle(sources)) == {"a", "b", "p.c"}
    assert circle(sources | {"p.c": ""}) == []


LONGEST = 20
"""Lines of a function of a command, which parses, calls and prints."""


def long_functions(source: str) -> list[str]:
    """Returns the functions of a file that are too long for a command."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if node.end_lineno - node.lineno + 1 > LONGEST]


def test_commands_parse_call_and_print() -> None:
    files = sorted((ROOT / "tools").rglob("*.py"))
    long = {str(file.relative_to(ROOT)): long_functions(file.read_text()) for file in files if file.name != "cli.py"}
    assert not {file: names for file, names in long.items() if names}


def test_a_command_that_does_more_is_seen() -> None:
    body = "\n".join(f"    {name} = 0" for name in "abcdefghijklmnopqrst")
    assert long_functions(f"def main():\n{body}") == ["main"]
    assert not long_functions(f"def main():\n{body[: body.rindex(chr(10))]}")


def test_no_stage_prints() -> None:
    for file in sorted((ROOT / "pipeline").rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        assert not [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"], file
        assert not {name for name in imported(file.read_text()) if name.split(".")[0] in ("argparse", "rich", "tyro")}


def test_naming_the_stages_imports_none_of_them() -> None:
    code = "import pipeline, sys; print({'torch', 'numba', 'gymnasium', 'pandas', 'plotly'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_nothing_is_unpickled() -> None:
    for file in sorted(ROOT.glob("*/**/*.py")):
        if file.parts[len(ROOT.parts)] in (".venv", "tests"):
            continue
        names = imported(file.read_text())
        assert not {
            name for name in names if name.split(".")[0] in ("pickle", "joblib", "dill", "cloudpickle", "shelve")
        }, file


HOUSE = (*LIBRARY, "pipeline", "factorgym", "configs", "tools")


def defined_classes(source: str) -> list[str]:
    """Returns the public classes that a file defines at its top."""
    found = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return [node.name for node in found if not node.name.startswith("_")]


def test_a_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for package in (*HOUSE, "benchmarks"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for name in defined_classes(file.read_text()):
                homes.setdefault(name, []).append(str(file.relative_to(ROOT)))
    assert len(homes) > 300
    one_each = {"Options"}  # of each command, read by nobody else
    assert not {name: files for name, files in homes.items() if len(files) > 1 and name not in one_each}


def test_a_class_is_seen_where_it_is_defined() -> None:
    assert defined_classes("class A:\n    pass\n\nclass _B:\n    pass\n\nx = 1") == ["A"]


EXPERIMENTS = ("pretrain", "trade", "prepare", "download", "discover", "sweep", "walk", "evaluate")


def depth(config: str, texts: Mapping[str, str]) -> int:
    """Returns how many files one has to read to know a config, those of other experiments that it imports included."""
    names = imported(texts[config])
    parents = {name for name in texts if name != config and (name in names or f"{name}.experiment" in names)}
    return 1 + max((depth(parent, texts) for parent in parents), default=0)


def test_no_config_is_more_than_two_files_deep() -> None:
    files = [file for folder in EXPERIMENTS for file in sorted((ROOT / "configs" / folder).glob("*.py"))]
    texts = {f"configs.{file.parent.name}.{file.stem}": file.read_text() for file in files}
    assert len(texts) > 40
    assert not {name for name in texts if depth(name, texts) > 2}


def test_a_deep_config_is_seen() -> None:
    texts = {
        "configs.trade.a": "experiment = 1",
        "configs.trade.b": "from configs.trade.a import experiment",
        "configs.trade.c": "from configs.trade.b import experiment as base",
    }
    assert [depth(name, texts) for name in texts] == [1, 2, 3]


def questions(source: str) -> list[str]:
    """Returns the docstrings of a file that begin with "What", where the noun for it is missing."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    return [text.value for text in texts if isinstance(text, ast.Constant) and str(text.value).startswith("What ")]


def test_docstrings_say_what_a_thing_is_with_a_noun() -> None:
    for package in (*HOUSE, "benchmarks"):
        for file in sorted((ROOT / package).rglob("*.py")):
            assert not questions(file.read_text()), file
    assert questions('"""What it does."""\nx = 1\n"""What x is."""') == ["What it does.", "What x is."]
