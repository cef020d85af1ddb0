"""Names of dataclasses in files: a package and a class, so that a file outlives every move of a module.

``encoders.Storm`` is looked up in the package's own namespace, then in its modules. A class of another package is named
by its import path, ``mypackage.encoder.Mine``, and is imported only where the reader trusts that package.
"""

import dataclasses
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from configs.aliases import CLASSES

PACKAGES = ("market", "encoders", "envs", "agents", "evaluation", "configs")
"""Packages whose classes a file may name without further trust."""
_MODULES = {"configs": "configs.schema"}  # where the classes of a package are, if not everywhere in it
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_names: WeakKeyDictionary[type[Any], str] = WeakKeyDictionary()
_trusted: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())


@contextmanager
def trusting(*packages: str) -> Iterator[None]:
    """Lets files name classes of these packages while the context lasts; reading such a file imports the package.

    Args:
        packages: Top packages, ``mypackage`` for ``mypackage.encoder.Mine``; ``__main__`` for a notebook or script.
    """
    token = _trusted.set(_trusted.get() | set(packages))
    try:
        yield
    finally:
        _trusted.reset(token)


def trust(*packages: str) -> None:
    """Lets files name classes of these packages from now on: the choice of a whole program, such as a command."""
    _trusted.set(_trusted.get() | set(packages))


def is_ours(module: str) -> bool:
    """Returns whether a module belongs to the library."""
    return module.partition(".")[0] in PACKAGES


def public_name(kind: type[Any]) -> str:
    """Returns how files name a class: by package and name, or by its import path if it is not of the library."""
    if kind not in _names:
        package = kind.__module__.partition(".")[0]
        alone = is_ours(package) and _in_package(package, kind.__qualname__) == [kind]
        _names[kind] = f"{package if alone else kind.__module__}.{kind.__qualname__}"
    return _names[kind]


def find_class(name: Any, where: str) -> type[Any]:
    """Returns the dataclass that a file names.

    Args:
        name: A public name, an address of an older version, or the import path of a class of another package.
        where: Place in the file, for messages.

    Raises:
        ValueError: There is no such dataclass, or it belongs to a package that is not trusted; nothing was imported.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w+(\.\w+)+", name):
        raise ValueError(f"{where}: class is {name!r}, expected a name such as 'encoders.Storm'; mend the file")
    return _library_class(name, where) if is_ours(name) else _foreign_class(name, where)


def library_classes(package: str) -> dict[str, list[str]]:
    """Returns the modules of a package of the library that define each class, by its name; nothing is imported."""
    return _classes(_MODULES.get(package, package))


def _library_class(name: str, where: str) -> type[Any]:
    package, _, rest = name.partition(".")
    old, kind = rest.rpartition(".")[0], rest.rpartition(".")[2]
    moved = CLASSES.get(name) or (CLASSES.get(f"{package}.{kind}") if old else None)
    found = [] if moved and old else _in_package(package, kind)
    if moved and not found:
        package, _, kind = moved.partition(".")
        found = _in_package(package, kind)
    if len(found) > 1:  # an address tells them apart
        found = [one for one in found if f"{one.__module__}.{one.__qualname__}" == name]
    if len(found) != 1:
        near = get_close_matches(kind, library_classes(package), n=1)
        hint = f"did you mean '{package}.{near[0]}'?" if near else "was it written by another version?"
        raise ValueError(f"{where}: there is no configuration class {name!r}; {hint}")
    return found[0]


def _in_package(package: str, name: str) -> list[type[Any]]:
    """The dataclasses of that name: the one that the package itself shows, else those that its modules define."""
    shown: Any = getattr(importlib.import_module(package), name, None)
    if _is_dataclass_of(shown, package, name):
        return [shown]
    modules = [importlib.import_module(module) for module in library_classes(package).get(name, ())]
    kinds: list[Any] = [getattr(module, name, None) for module in modules]
    return [kind for kind in dict.fromkeys(kinds) if _is_dataclass_of(kind, package, name)]


def _is_dataclass_of(kind: Any, package: str, name: str) -> bool:
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return False
    return kind.__module__.partition(".")[0] == package and kind.__qualname__ == name


def _foreign_class(name: str, where: str) -> type[Any]:
    package, _, _ = name.partition(".")
    module, _, kind = name.rpartition(".")
    if package not in _trusted.get():
        raise ValueError(
            f"{where}: class {name!r} is not of this library, and reading it would run the code of '{package}'; if you "
            f"trust that code, add --trust {package}"
        )
    try:
        found = getattr(sys.modules.get(module) or importlib.import_module(module), kind, None)
    except ImportError as error:
        raise ValueError(f"{where}: class {name!r} cannot be imported ({error}); put it on PYTHONPATH") from None
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"{where}: {name!r} is no dataclass that {module} defines; name the class where it is defined")
    return found


@cache
def _classes(package: str) -> dict[str, list[str]]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    found: dict[str, list[str]] = {}
    for folder in map(Path, spec.submodule_search_locations):
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            module = ".".join((package, *parts)).removesuffix(".__init__")
            for name in _CLASS.findall(file.read_text(encoding="utf-8")):
                found.setdefault(name, []).append(module)
    return found
