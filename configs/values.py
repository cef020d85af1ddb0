"""Frozen dataclass values as plain data and back, by the types their fields declare."""

import dataclasses
import logging
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from configs.aliases import FIELDS
from configs.classes import find_class, public_name

CLASS = "class"

logger = logging.getLogger(__name__)


def to_data(value: Any) -> Any:
    """Returns `value` as JSON data: a dataclass becomes an object whose `class` names it."""
    if dataclasses.is_dataclass(value):
        return {
            CLASS: public_name(type(value)),
            **{f.name: to_data(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init},
        }
    if isinstance(value, tuple):
        return [to_data(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError(
        f"a config holds {value!r} of type {type(value).__name__}; use plain values, tuples or dataclasses"
    )


def from_data(data: Any, wanted: Any, where: str = "config") -> Any:
    """Returns the value of type `wanted` that `data` describes.

    Args:
        data: What `to_data` returned, after a trip through JSON.
        wanted: A type: plain, Literal, tuple, union, dataclass or a protocol that dataclasses of ours satisfy.
        where: Name of the place, for messages.

    Raises:
        ValueError: An unknown class or field, a missing field, or a value of another type; names the place.
    """
    origin = get_origin(wanted)
    if origin is Literal:
        if data not in get_args(wanted):
            raise ValueError(f"{where} is {data!r}, expected one of {', '.join(map(repr, get_args(wanted)))}")
        return data
    if isinstance(data, dict):
        return _dataclass_from(data, wanted, where)
    if origin in (Union, types.UnionType):
        return _union_from(data, get_args(wanted), where)
    if origin is tuple:
        return _tuple_from(data, get_args(wanted), where)
    return _plain_from(data, wanted, where)


def with_fields(value: Any, changes: Mapping[str, Any]) -> Any:
    """Returns a dataclass value with other plain fields, also inside the dataclasses that it holds.

    All of them change at once, so what a class checks of its fields together is checked of the new ones alone.

    Args:
        value: The dataclass value.
        changes: New values by dotted field, ``optim.learning_rate``.

    Raises:
        ValueError: A field does not exist, with what was probably meant, or takes no such value.
    """
    tree: dict[str, Any] = {}
    for path, new in changes.items():
        *outer, last = place_today(value, path).split(".")
        branch = tree
        for name in outer:
            branch = branch.setdefault(name, {})
        branch[last] = new
    return _with_branch(value, tree, "")


def place_today(value: Any, path: str) -> str:
    """Returns where a dotted field of `value` is today."""
    name, _, rest = path.partition(".")
    if not dataclasses.is_dataclass(value):
        return path
    name = FIELDS.get(public_name(type(value)), {}).get(name, name)
    return f"{name}.{place_today(getattr(value, name, None), rest)}" if rest else name


def _with_branch(value: Any, branch: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(type(value))
    changes: dict[str, Any] = {}
    for name, new in branch.items():
        place = f"{where}{name}"
        if name not in [field.name for field in dataclasses.fields(value) if field.init]:
            raise ValueError(f"{place}: {no_such_field(type(value), name)}")
        current = getattr(value, name)
        if isinstance(new, dict):
            if not dataclasses.is_dataclass(current):
                raise ValueError(f"{place} is {current!r} and has no field '{next(iter(new))}'; name it without one")
            changes[name] = _with_branch(current, new, f"{place}.")
        else:
            changes[name] = from_data(new, hints[name], place)
    return dataclasses.replace(value, **changes)


def no_such_field(known: type[Any], name: str) -> str:
    """Returns that a dataclass has no field of this name, and which one was probably meant."""
    fields = [field.name for field in dataclasses.fields(known) if field.init]
    near = get_close_matches(name, fields, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(fields)}"
    return f"{known.__name__} has no field '{name}'; {hint}"


def _plain_from(data: Any, wanted: Any, where: str) -> Any:
    if wanted is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if wanted is Any or (wanted is type(None) and data is None):
        return data
    if wanted in (str, int, float, bool) and type(data) is wanted:
        return data
    raise ValueError(f"{where} is {data!r}, expected {getattr(wanted, '__name__', wanted)}")


def _union_from(data: Any, options: tuple[Any, ...], where: str) -> Any:
    for option in options:
        try:
            return from_data(data, option, where)
        except ValueError:
            continue
    names = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise ValueError(f"{where} is {data!r}, expected {names}")


def _tuple_from(data: Any, entries: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise ValueError(f"{where} is {data!r}, expected a list")
    if len(entries) == 2 and entries[1] is Ellipsis:
        return tuple(from_data(entry, entries[0], f"{where}[{k}]") for k, entry in enumerate(data))
    if len(entries) != len(data):
        raise ValueError(f"{where} has {len(data)} entries, expected {len(entries)}")
    return tuple(
        from_data(entry, kind, f"{where}[{k}]") for k, (entry, kind) in enumerate(zip(data, entries, strict=True))
    )


def upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `to_data` writes today of the value that it described in an older version.

    Raises:
        ValueError: A class or field is unknown, or a field without a default is missing.
    """
    written: dict[str, Any] = to_data(from_data(dict(data), Any))
    return written


def _dataclass_from(data: dict[str, Any], wanted: Any, where: str) -> Any:
    known = find_class(data.get(CLASS), where)
    fields = {f.name: f for f in dataclasses.fields(known) if f.init}
    hints = get_type_hints(known)
    values: dict[str, Any] = {}
    for name, entry in _with_new_places(data, known, where).items():
        if name == CLASS:
            continue
        if name not in fields:
            raise ValueError(f"{where}: {no_such_field(known, name)}")
        values[name] = from_data(entry, hints[name], f"{where}.{name}")
    _refuse_missing(known, [field for name, field in fields.items() if name not in values], where)
    value = known(**values)
    _check_kind(value, wanted, where)
    return value


def _refuse_missing(known: type[Any], missing: list[dataclasses.Field[Any]], where: str) -> None:
    """Says which fields take their defaults, and refuses those that have none."""
    bare = [one.name for one in missing if _default(one) is dataclasses.MISSING]
    if bare:
        raise ValueError(f"{where}: {known.__name__} lacks {', '.join(bare)}, which has no default; write it")
    for one in missing:
        logger.info("%s: %s.%s is not written, it takes its default %r", where, known.__name__, one.name, _default(one))


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _with_new_places(data: dict[str, Any], known: type[Any], where: str) -> dict[str, Any]:
    """Returns the fields of an object of an older version where they are today."""
    data = dict(data)
    for old, place in FIELDS.get(public_name(known), {}).items():
        if old not in data:
            continue
        value, (outer, _, inner) = data.pop(old), place.partition(".")
        if not inner:
            data[outer] = value
        elif isinstance(held := data.get(outer), dict):
            kind = find_class(held.get(CLASS), f"{where}.{outer}")
            if inner in [field.name for field in dataclasses.fields(kind)]:
                data[outer] = {**held, inner: value}
    return data


def _check_kind(value: Any, wanted: Any, where: str) -> None:
    options = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    kinds = [option for option in options if isinstance(option, type)]
    if wanted is not Any and not any(isinstance(value, kind) for kind in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{where} is a {type(value).__name__}, expected {names}")
