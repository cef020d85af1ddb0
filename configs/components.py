"""Exchanging a part of a config by name: another encoder, agent or quantiser in the place of the present one."""

import dataclasses
import importlib
import re
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from configs.classes import is_ours, library_classes
from configs.values import no_such_field

S = TypeVar("S")

NONE = "none"


def with_components(value: S, names: Mapping[str, str]) -> S:
    """Returns a config with other parts, each with its own defaults; a part that is there already stays as it is.

    Args:
        value: The config.
        names: Name of the part by dotted field: ``{"encoder": "storm", "encoder.quantizer": "fsq"}``.

    Raises:
        ValueError: A field does not exist or has no parts to choose from, or a name is unknown; says what there is.
    """
    for path in sorted(names, key=lambda path: path.count(".")):  # the outer part first
        value = _with_component(value, path.replace("-", "_").split("."), names[path], f"--{path}:{names[path]}")
    return value


def open_fields(value: Any, prefix: str = "") -> list[str]:
    """Returns the dotted fields of a config that take one of several parts."""
    found = []
    for name, hint in get_type_hints(type(value)).items():
        field = value.__dataclass_fields__.get(name)
        if field is None or not field.init:
            continue
        if _protocol(hint) is not None or len(_united(hint)) > 1:
            found.append(f"{prefix}{name}")
        if dataclasses.is_dataclass(held := getattr(value, name)):
            found += open_fields(held, f"{prefix}{name}.")
    return found


def parts_of(hint: Any) -> dict[str, type[Any] | None]:
    """Returns the classes that a field of this type takes, by the name that a command line gives them."""
    protocol = _protocol(hint)
    kinds = _united(hint) if protocol is None else _implementations(protocol)
    named: dict[str, type[Any] | None] = {_spelt(kind.__name__): kind for kind in kinds}
    return named | ({NONE: None} if types.NoneType in get_args(hint) else {})


def _with_component(value: Any, path: list[str], name: str, said: str) -> Any:
    field, *rest = path
    if field not in [one.name for one in dataclasses.fields(value) if one.init]:
        raise ValueError(f"{said}: {no_such_field(type(value), field)}")
    now = getattr(value, field)
    if rest:
        if not dataclasses.is_dataclass(now):
            raise ValueError(f"{said}: {field} is {now!r} and has no fields; leave out '{rest[0]}'")
        return dataclasses.replace(value, **{field: _with_component(now, rest, name, said)})
    parts = parts_of(get_type_hints(type(value))[field])
    by_letters = {_letters(known): kind for known, kind in parts.items()}
    if not parts or _letters(name) not in by_letters:
        near = get_close_matches(name, parts, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{said}: {hint}{field} takes {', '.join(sorted(parts)) or 'no other part'}")
    kind = by_letters[_letters(name)]
    return value if type(now) is kind else dataclasses.replace(value, **{field: _made(kind, said)})


def _made(kind: type[Any] | None, said: str) -> Any:
    if kind is None:
        return None
    bare = [
        one.name
        for one in dataclasses.fields(kind)
        if one.init and one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    if bare:
        raise ValueError(f"{said}: {kind.__name__} has no default for {', '.join(bare)}; write it in a config file")
    return kind()


def _united(hint: Any) -> list[type[Any]]:
    """The dataclasses of a union, or the one that a field may only hold or lack."""
    if get_origin(hint) not in (Union, types.UnionType):
        return []
    return [kind for kind in get_args(hint) if isinstance(kind, type) and dataclasses.is_dataclass(kind)]


def _protocol(hint: Any) -> type[Any] | None:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((kind for kind in options if isinstance(kind, type) and getattr(kind, "_is_protocol", False)), None)


def _implementations(protocol: type[Any]) -> list[type[Any]]:
    """The dataclasses of the protocol's own package that have all its members."""
    package = protocol.__module__.partition(".")[0]
    if not is_ours(package):
        return []
    members = [name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")]
    found = []
    for name, modules in library_classes(package).items():
        for kind in (getattr(importlib.import_module(module), name) for module in modules):
            fields = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else None
            if fields is not None and all(hasattr(kind, one) or one in fields for one in members):
                found.append(kind)
    return found


def _spelt(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _letters(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()
