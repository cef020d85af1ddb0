"""The face of the project: its names, its guard against other owners of our package names, its one command."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import factorgym
from factorgym.clash import HOME, refuse_clash

ROOT = Path(__file__).parents[2]
FACES = ("market", "encoders", "agents", "evaluation")


def stub_names(package: str) -> set[str]:
    tree = ast.parse((ROOT / package / "__init__.pyi").read_text())
    return {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_every_name_of_the_face_exists_and_is_typed() -> None:
    names = set(factorgym.__all__) - {"__version__"}
    assert names == stub_names("factorgym")
    assert all(getattr(factorgym, name) is not None for name in names)
    assert names <= set(dir(factorgym))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Pannel'; did you mean Panel\?"):
        factorgym.Pannel  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'bourse'; market, encoders, envs, agents, evaluation,"):
        factorgym.bourse  # noqa: B018


def test_every_part_of_the_environments_is_on_the_face() -> None:
    import envs

    assert set(envs.__all__) <= set(factorgym.__all__)


@pytest.mark.parametrize("package", FACES)
def test_every_public_name_of_a_package_exists(package: str) -> None:
    module = import_module(package)
    assert set(module.__all__) == stub_names(package)
    for name in module.__all__:
        found = getattr(module, name)
        assert not isinstance(found, type(sys)), f"{package}.{name} is the module of that name, not what it holds"


def test_importing_the_face_loads_nothing_heavy() -> None:
    code = "import factorgym, sys; print(sorted({'torch', 'numba', 'pandas', 'stable_baselines3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_project() -> None:
    assert f'version = "{factorgym.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_our_own_packages_do_not_clash() -> None:
    refuse_clash()


def test_another_owner_of_a_package_name_is_named(tmp_path: Path) -> None:
    other = tmp_path / "agents"
    other.mkdir()
    (other / "__init__.py").write_text("")
    code = "import factorgym"
    path = f"{tmp_path}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": path},
        check=False,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "'agents'" in last
    assert str(other / "__init__.py") in last
    assert "PYTHONPATH" in last


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ImportError, match="own package 'no_such_package'"):
        refuse_clash(("no_such_package",), HOME)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "factorgym", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_lists_its_stages() -> None:
    done = command()
    assert done.returncode == 2
    for stage in ("prepare", "pretrain", "extract", "train", "evaluate", "inspect"):
        assert stage in done.stdout


def test_the_command_knows_its_version() -> None:
    assert command("--version").stdout == f"factorgym {factorgym.__version__}\n"


def test_an_unknown_stage_is_refused() -> None:
    done = command("prepair")
    assert done.returncode == 2
    assert "no stage 'prepair'" in done.stdout
