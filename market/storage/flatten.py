"""Nested settings and measures as one flat row, the way tables and TensorBoard show them."""

from collections.abc import Mapping
from typing import Any

CLASS = "class"  # as in configs.values
LONGEST = 40  # letters of a text that still fits a column


def numbers(tree: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Returns the numbers of nested mappings, each under the path that leads to it: ``codebooks/market/usage``."""
    flat: dict[str, float] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[f"{prefix}{name}"] = value
    return flat


def choices(settings: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Returns the settings of an experiment that fit into columns, as a command line names them: ``optim.epochs``.

    A part is shown by its class and by what it was given.
    Unset ones, lists of parts, and texts of more than `LONGEST` letters are left out.
    """
    flat: dict[str, bool | int | float | str] = {}
    for name, value in settings.items():
        shown = str(value) if isinstance(value, list) and not any(isinstance(one, dict) for one in value) else value
        if isinstance(shown, Mapping):
            flat |= choices(shown, f"{prefix}{name}.")
        elif name == CLASS:
            if prefix:
                flat[prefix.removesuffix(".")] = str(value).rpartition(".")[2]
        elif isinstance(shown, bool | int | float) or (isinstance(shown, str) and len(shown) <= LONGEST):
            flat[f"{prefix}{name}"] = shown
    return flat
