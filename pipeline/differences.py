"""How the candidates of a comparison differ: the fields of their configurations whose values are not the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from configs.values import CLASS, to_data

NAME = "name"
"""Field that differs by design."""
ABSENT = "–"
"""Stands for a field that a candidate does not have."""


def differing_fields(candidates: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns one row for each field that is not the same in all configurations, with its value in each.

    Seeds and names of runs are left out: candidates of one name are trainings of one configuration. A part of another
    class, such as another encoder, is one row with the names of the classes, and its own fields are not listed.

    Args:
        candidates: Configurations by the name in the tables.
    """
    written = {name: _flat(to_data(value)) for name, value in candidates.items()}
    fields = dict.fromkeys(field for one in written.values() for field in one)
    swapped = [field for field in fields if field.endswith(f".{CLASS}") and _differs(written, field)]
    rows = []
    for field in fields:
        inside = any(field != one and f"{field}.".startswith(one.removesuffix(CLASS)) for one in swapped)
        if field in (NAME, "seed", "seeds") or inside or not _differs(written, field):
            continue
        part = field.removesuffix(f".{CLASS}")  # None where a candidate has no such part
        rows.append(
            {"field": part, **{name: _text(one.get(field, one.get(part, ABSENT))) for name, one in written.items()}}
        )
    return rows


def by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Returns the first value of each name."""
    found: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        found.setdefault(name, value)
    return found


def _flat(data: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(data, dict):
        return {prefix.removesuffix("."): data}
    return {name: value for key, part in data.items() for name, value in _flat(part, f"{prefix}{key}.").items()}


def _differs(written: Mapping[str, Mapping[str, Any]], field: str) -> bool:
    return len({_text(one.get(field, ABSENT)) for one in written.values()}) > 1


def _text(value: Any) -> str:
    words = value.rpartition(".")[2] if isinstance(value, str) and value.startswith("encoders.") else str(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
