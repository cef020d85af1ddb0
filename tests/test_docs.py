"""The documentation: every public name is described on the reference page of its package."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("market", "encoders", "envs", "agents", "evaluation", "pipeline")


def test_every_package_of_the_wheel_has_a_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert {*PACKAGES, "configs", "factorgym"} == packages - {"tools"}, "a command describes itself with --help"
    assert {path.stem for path in REFERENCE.glob("*.md")} == packages - {"tools"}


def shown(page: str) -> set[str]:
    """Returns the modules that a page of the reference describes."""
    return set(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_module_of_every_public_name_is_on_the_page_of_its_package(package: str) -> None:
    described = shown((REFERENCE / f"{package}.md").read_text(encoding="utf-8"))
    module = import_module(package)
    homes = {getattr(getattr(module, name), "__module__", package) for name in module.__all__}
    ours = {home for home in homes if home.startswith(package)}
    assert len(ours) > 5
    assert not ours - described


def test_every_module_on_a_page_exists() -> None:
    for page in REFERENCE.glob("*.md"):
        for name in shown(page.read_text(encoding="utf-8")):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), f"{page.name}: {name}"


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in contents, page


def test_every_file_that_the_documentation_names_is_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (str(page.relative_to(ROOT)), name)
        for page in pages
        for name in re.findall(
            r"\b(?:configs|examples|benchmarks|tests|docs)/[\w/]+\.(?:py|yaml|ipynb|md)", page.read_text("utf-8")
        )
    }
    assert len(named) > 40
    assert [(page, name) for page, name in sorted(named) if not (ROOT / name).exists()] == []
