"""Many experiments from one: every combination of the values of some fields, each under a name of its own."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from configs.values import with_fields

S = TypeVar("S")


def varied(experiment: S, values: Mapping[str, Sequence[str]]) -> list[S]:
    """Returns an experiment for each combination of values, the last field varying fastest.

    A name with fields in braces, ``{asset}_{states}``, is filled in; another one gets the values appended. Of a path,
    such as that of a states file, the name of its folder stands for it.

    Args:
        experiment: What they share; its class has a field ``name``.
        values: Values as text by dotted field: ``{"asset": ["AAPL", "IBM"]}``. Entries of a tuple are joined by ``+``.

    Raises:
        ValueError: A field does not exist or takes no such value, or two experiments would have one name.
    """
    fields = [name.replace("-", "_") for name in values]
    found: list[S] = []
    for chosen in itertools.product(*values.values()):
        one = experiment
        for field, text in zip(fields, chosen, strict=True):
            one = _with_value(one, field, text)
        found.append(with_fields(one, {"name": _name(experiment, dict(zip(fields, chosen, strict=True)))}))
    names = [one.name for one in found]  # type: ignore[attr-defined]
    if len(set(names)) < len(names):
        raise ValueError(f"--vary: names are {', '.join(names)}, expected each once; put every field into --name")
    return found


def parsed(texts: Sequence[str]) -> dict[str, list[str]]:
    """Returns values by field from ``field=value,value`` as a command line gives them.

    Raises:
        ValueError: A text is of another form, or names a field again.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        field, equals, values = text.partition("=")
        if not (field and equals and all(values.split(","))) or field in found:
            raise ValueError(f"--vary {text}: expected each field once, as asset=AAPL,IBM")
        found[field] = values.split(",")
    return found


def _with_value(experiment: S, field: str, text: str) -> S:
    """The experiment with the value that the text stands for: a number, a word, or the entries of a tuple."""
    faults = []
    for value in _readings(text):
        try:
            changed: S = with_fields(experiment, {field: value})
        except ValueError as error:
            faults.append(error)
        else:
            return changed
    raise ValueError(f"--vary {field}={text}: {faults[0]}")


def _readings(text: str) -> list[Any]:
    entries = [_number(part) for part in text.split("+")]
    return [text, entries[0], entries, text.split("+")] if "+" not in text else [text, entries, text.split("+")]


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _name(experiment: Any, chosen: Mapping[str, str]) -> str:
    labels = {field: _label(text) for field, text in chosen.items()}
    template: str = experiment.name
    if "{" not in template:
        return "_".join((template, *labels.values()))
    try:
        return template.format(**{field.rpartition(".")[2]: label for field, label in labels.items()})
    except (LookupError, ValueError, AttributeError) as error:
        raise ValueError(f"--name {template!r} needs {error}, but --vary has {', '.join(chosen)}") from None


def _label(text: str) -> str:
    path = Path(text)
    return path.parent.name if path.suffix and path.parent.name else text.replace("/", "_")
