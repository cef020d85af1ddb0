"""Experiments on disk: a Python file to write by hand, and the same value as data to read back.

A run directory gets both: ``config.py``, itself a config that reproduces the run, and ``config.json``, which is parsed
into the dataclasses and executes nothing. Python is run only where the user names a file with ``--config``. Versions
that move modules still read ``config.json``, which may be named with ``--config`` too.
"""

import dataclasses
import json
import re
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from configs.classes import PACKAGES, is_ours, trusting
from configs.values import from_data, to_data
from market.storage.array_file import write_json, write_text
from market.storage.json_diff import first_difference

S = TypeVar("S")

EXPERIMENT = "experiment"
FORMAT = 1
"""Of ``config.json``; files without one hold addresses of modules, and are read too."""
_RUN = "<run_path>"  # module of classes that a config file itself defines
_FAULTS = (
    SyntaxError,
    NameError,
    TypeError,
    ValueError,
    ImportError,
    AttributeError,
    LookupError,
    ArithmeticError,
    OSError,
)


def load_python(path: str | Path, *schemas: type[S]) -> S:
    """Runs the config file at `path` and returns its `experiment`; a ``config.json`` is read, and nothing runs.

    ``configs/...`` also names a file that ships with this package, so that commands work from any folder.

    Raises:
        ValueError: The file is missing, fails, or its experiment is none of `schemas`; one line, with what was meant.
    """
    wanted = " or ".join(schema.__name__ for schema in schemas)
    path = _found(path)
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such config file{_nearby(Path(path))}")
    if Path(path).suffix == ".json":
        return _known_as(load_json(path, object), path, schemas)
    try:
        names = runpy.run_path(str(path))
    except _FAULTS as error:
        raise ValueError(f"{path}: {_explained(error, schemas)}") from error
    if EXPERIMENT not in names:
        raise ValueError(f"{path}: defines no '{EXPERIMENT}'; write {EXPERIMENT} = {wanted}(...)")
    value = _known_as(names[EXPERIMENT], path, schemas)
    _refuse_wrong_types(value, path)
    return value


def _found(path: str | Path) -> str | Path:
    """Returns the path itself, or that of the shipped file which it names where it leads to none from here."""
    given, home = Path(path), Path(__file__).parent
    if given.is_file() or given.parts[:1] != (home.name,) or ".." in given.parts:
        return path
    shipped = home.parent / given
    return shipped if shipped.is_file() else path


def _known_as(value: Any, path: str | Path, schemas: tuple[type[S], ...]) -> S:
    if not isinstance(value, schemas):
        wanted = " or ".join(schema.__name__ for schema in schemas)
        raise ValueError(f"{path}: {EXPERIMENT} is a {type(value).__name__}, this tool takes a {wanted}")
    return value


def _refuse_wrong_types(value: Any, path: str | Path) -> None:
    """Refuses fields that hold what their type does not allow, which Python itself never looks at."""
    if not any(type(part).__module__ == _RUN for part in _parts(value)):
        try:
            with trusting(*foreign_packages(value)):
                from_data(to_data(value), type(value), EXPERIMENT)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from None


def refuse_untrusted(value: Any, name: str) -> None:
    """Refuses a config that could not be read back from its run, before anything is trained with it.

    Args:
        value: The config of a run that later stages will open.
        name: Name of the run, for the message.

    Raises:
        ValueError: It holds a class of a package that is not trusted, or one that a config file itself defines.
    """
    try:
        source_text(value)
        from_data(to_data(value), type(value), EXPERIMENT)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def foreign_packages(value: Any) -> set[str]:
    """Returns the top packages of the classes in a value that are not of the library."""
    modules = {type(part).__module__ for part in _parts(value)}
    return {module.partition(".")[0] for module in modules if not is_ours(module)}


def load_json(path: str | Path, schema: type[S], trust: Iterable[str] = ()) -> S:
    """Returns the value that `write` put into a run directory; nothing is executed but packages that are trusted.

    Args:
        path: A ``config.json``, of this version or an older one.
        schema: Dataclass that it must hold.
        trust: Packages outside the library that the file may name, beside those of `configs.classes.trusting`.

    Raises:
        ValueError: The file is missing, not JSON, of a newer format, or holds an unknown class or field, a class of a
            package that is not trusted, or a value of another type.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name the directory of a run") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); run the stage again to write it") from None
    try:
        with trusting(*trust):
            value = from_data(_without_format(data), Any if schema is object else schema)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None
    return value  # type: ignore[no-any-return]


def _without_format(data: Any) -> Any:
    if not isinstance(data, dict) or "format" not in data:
        return data
    if type(data["format"]) is not int or not 1 <= data["format"] <= FORMAT:
        raise ValueError(f"config: format is {data['format']!r}, this version reads up to {FORMAT}; use a newer one")
    return {name: entry for name, entry in data.items() if name != "format"}


def difference(path: str | Path, value: Any) -> str | None:
    """Returns where the ``config.json`` at `path` differs from `value`, None where it holds the same.

    Both are compared as values, so a file of an older version equals one of today. Classes outside the library are
    trusted as far as `value` holds some of their package, whose code has run already.

    Raises:
        ValueError: The file cannot be read, see `load_json`.
    """
    known = load_json(path, object, foreign_packages(value))
    return first_difference(to_data(known), to_data(value))


def write(value: Any, folder: str | Path) -> None:
    """Writes ``config.py`` and ``config.json`` into `folder`; each of them reproduces `value`."""
    write_text(Path(folder) / "config.py", source_text(value))
    write_json(Path(folder) / "config.json", {"format": FORMAT, **to_data(value)})


def source_text(value: Any) -> str:
    """Returns Python source whose `experiment` equals `value`, with every field spelled out."""
    parts = list(_parts(value))
    local = [type(part) for part in parts if type(part).__module__ == _RUN]
    if local:
        raise ValueError(
            f"{local[0].__name__} is defined in a config file, and a run made with it could not be opened again; move "
            "it to a file of its own that can be imported"
        )
    names = _names_in_source({type(part) for part in parts})
    imports = sorted(_import_line(kind, name) for kind, name in names.items())
    title = '"""Resolved configuration, written by the run beside it."""'
    return "\n".join((title, "", *imports, "", f"{EXPERIMENT} = {_written(value, names)}", ""))


def _names_in_source(kinds: set[type[Any]]) -> dict[type[Any], str]:
    """Names for the classes, numbered where two of them have the same one."""
    names: dict[type[Any], str] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
        own = kind.__qualname__
        number = sum(other.__qualname__ == own for other in names)
        names[kind] = own if not number else f"{own}{number + 1}"
    return names


def _import_line(kind: type[Any], name: str) -> str:
    package = kind.__module__.partition(".")[0]
    shown = is_ours(package) and getattr(sys.modules[package], kind.__qualname__, None) is kind
    renamed = "" if name == kind.__qualname__ else f" as {name}"
    return f"from {package if shown else kind.__module__} import {kind.__qualname__}{renamed}"


def _parts(value: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _parts(entry)


def _written(value: Any, names: Mapping[type[Any], str], indent: str = "") -> str:
    inner = indent + "    "
    if dataclasses.is_dataclass(value):
        fields = [f for f in dataclasses.fields(value) if f.init]
        if not fields:
            return f"{names[type(value)]}()"
        lines = [f"{inner}{f.name}={_written(getattr(value, f.name), names, inner)},\n" for f in fields]
        return f"{names[type(value)]}(\n{''.join(lines)}{indent})"
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(entry) for entry in value):
        return "(\n" + "".join(f"{inner}{_written(entry, names, inner)},\n" for entry in value) + f"{indent})"
    if isinstance(value, float) and not -1e300 < value < 1e300:
        return f'float("{value}")'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _explained(error: Exception, schemas: Sequence[type[Any]]) -> str:
    """Returns the error as one line, with the field or name that was probably meant."""
    text = str(error).replace("\n", " ")
    unknown = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", text)
    if unknown:
        fields = _fields_of(unknown[1], schemas)
        near = get_close_matches(unknown[2], fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(fields)}" if fields else "see --help"
        return f"{unknown[1]} has no field '{unknown[2]}'; {hint}"
    if isinstance(error, ModuleNotFoundError) and error.name and not is_ours(error.name):
        package = error.name.partition(".")[0]
        text = f"{text}; if '{package}' is your own, put the folder that holds it on PYTHONPATH, else install it"
    return f"{type(error).__name__}: {text}"


def _fields_of(name: str, schemas: Sequence[type[Any]]) -> list[str]:
    """Returns the fields of the dataclass called `name`, looked for in the schemas' modules and in our packages."""
    ours = [module for key, module in sys.modules.items() if key.split(".")[0] in {p.split(".")[0] for p in PACKAGES}]
    for module in (*(sys.modules[schema.__module__] for schema in schemas), *ours):
        found = getattr(module, name, None)
        if isinstance(found, type) and dataclasses.is_dataclass(found):
            return [field.name for field in dataclasses.fields(found)]
    return []


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
