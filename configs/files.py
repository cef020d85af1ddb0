"""Experiments on disk: a Python file to write by hand, and the same value as data to read back.

A run directory gets both: ``config.py``, itself a config that reproduces the run, and ``config.json``, which is parsed
into the dataclasses and executes nothing. Python is run only where the user names a file with ``--config``.
"""

import dataclasses
import json
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from configs.values import PACKAGES, from_data, is_ours, to_data
from market.storage.array_file import write_json, write_text

S = TypeVar("S")

EXPERIMENT = "experiment"
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
    """Runs the config file at `path` and returns its `experiment`.

    Raises:
        ValueError: The file is missing, fails, or its experiment is none of `schemas`; one line, with what was meant.
    """
    wanted = " or ".join(schema.__name__ for schema in schemas)
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such config file{_nearby(Path(path))}")
    try:
        names = runpy.run_path(str(path))
    except _FAULTS as error:
        raise ValueError(f"{path}: {_explained(error, schemas)}") from error
    if EXPERIMENT not in names:
        raise ValueError(f"{path}: defines no '{EXPERIMENT}'; write {EXPERIMENT} = {wanted}(...)")
    value = names[EXPERIMENT]
    if not isinstance(value, schemas):
        raise ValueError(f"{path}: {EXPERIMENT} is a {type(value).__name__}, this tool takes a {wanted}")
    _refuse_wrong_types(value, path)
    return value


def _refuse_wrong_types(value: Any, path: str | Path) -> None:
    """Refuses fields that hold what their type does not allow, which Python itself never looks at."""
    if all(is_ours(type(part).__module__) for part in _parts(value)):
        try:
            from_data(to_data(value), type(value), EXPERIMENT)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from None


def load_json(path: str | Path, schema: type[S]) -> S:
    """Returns the value that `write` put into a run directory; nothing is executed.

    Raises:
        ValueError: The file is missing, not JSON, or holds an unknown class or field, or a value of another type.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name the directory of a run") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); run the stage again to write it") from None
    try:
        value = from_data(data, schema)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None
    return value  # type: ignore[no-any-return]


def write(value: Any, folder: str | Path) -> None:
    """Writes ``config.py`` and ``config.json`` into `folder`; each of them reproduces `value`."""
    write_text(Path(folder) / "config.py", source_text(value))
    write_json(Path(folder) / "config.json", to_data(value))


def source_text(value: Any) -> str:
    """Returns Python source whose `experiment` equals `value`, with every field spelled out."""
    foreign = [type(part) for part in _parts(value) if not is_ours(type(part).__module__)]
    if foreign:
        where = foreign[0].__module__
        place = "a config file" if where in ("<run_path>", "__main__") else f"{where}.py"
        raise ValueError(
            f"{foreign[0].__name__} is defined in {place}, and a run made with it could not be opened again; move it "
            f"to a file of its own in {', '.join(PACKAGES[:-1])}"
        )
    classes = sorted({(type(part).__module__, type(part).__qualname__) for part in _parts(value)})
    imports = "\n".join(f"from {module} import {name}" for module, name in classes)
    title = '"""Resolved configuration, written by the run beside it."""'
    return f"{title}\n\n{imports}\n\n{EXPERIMENT} = {_written(value)}\n"


def _parts(value: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _parts(entry)


def _written(value: Any, indent: str = "") -> str:
    inner = indent + "    "
    if dataclasses.is_dataclass(value):
        fields = [f for f in dataclasses.fields(value) if f.init]
        if not fields:
            return f"{type(value).__qualname__}()"
        lines = [f"{inner}{f.name}={_written(getattr(value, f.name), inner)},\n" for f in fields]
        return f"{type(value).__qualname__}(\n{''.join(lines)}{indent})"
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(entry) for entry in value):
        return "(\n" + "".join(f"{inner}{_written(entry, inner)},\n" for entry in value) + f"{indent})"
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
