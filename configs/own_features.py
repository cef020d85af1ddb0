"""One option for columns of one's own: ``--own-features signals.parquet`` puts them beside the features of a config."""

import dataclasses
import re
from typing import Any, TypeVar, cast

S = TypeVar("S")

OPTION = "--own-features"
MEANING = (
    "Puts the columns of a table (CSV or Parquet: date, symbol, ...) beside the features; a value is known LAG trading "
    "days after its day (1)."
)
LAG = 1
"""Trading days until a value is known where the option does not say: the close after the day that it is of."""
HOLDERS = frozenset({"features", "experiment", "base", "earlier"})
"""Fields of configs that are features, or hold configs that have some."""


def with_own_features(value: S, text: str) -> S:
    """Returns a config whose features, wherever it has some, have the columns of a table beside them.

    Args:
        value: A config, or one that holds others, such as a walk.
        text: ``PATH`` or ``PATH:LAG``; a value of day d is known after the close `LAG` trading days later.

    Raises:
        ValueError: The config has no features.
    """
    match = re.fullmatch(r"(.+?)(?::([0-9]+))?", text)
    if match is None:
        raise ValueError(f"{OPTION} is '{text}', expected a table, as signals.parquet or signals.parquet:0")
    path, lag = match[1], LAG if match[2] is None else int(match[2])
    changed = _changed(value, path, lag)
    if changed is value:
        raise ValueError(f"{OPTION}: {type(value).__name__} computes no features; use it where a model or agent learns")
    return cast(S, changed)


def _changed(value: Any, path: str, lag: int) -> Any:
    from market.features.external import WithColumns  # late, because help reads the names above

    if isinstance(value, tuple):
        parts = tuple(_changed(one, path, lag) for one in value)
        return value if all(new is old for new, old in zip(parts, value, strict=True)) else parts
    if not dataclasses.is_dataclass(value):
        return value
    names = [field.name for field in dataclasses.fields(value) if field.name in HOLDERS]
    changes = {}
    for name in names:
        held = getattr(value, name)
        new = WithColumns(path, lag, base=held) if name == "features" else _changed(held, path, lag)
        if new is not held:
            changes[name] = new
    return dataclasses.replace(cast(Any, value), **changes) if changes else value
