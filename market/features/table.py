"""One line of a feature table: a name and a formula."""

import difflib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from market.features.expressions import Expression, Fields, parse
from market.panel import BARS

WINDOWS = (5, 10, 20, 30, 60)
"""Windows of Alpha158 and of STORM's features, in days."""

USUAL_FIELDS = (*BARS, "adj_close", "vwap")
"""Fields that a panel may well lack; a feature that needs another one and gets it nearly right has a typo."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Feature:
    """A name and the formula behind it.

    Attributes:
        name: Name of the field in the feature panel.
        formula: Text in the alphabet of `market.features.operators`, for example ``mean(close, 5) / close``.

    Raises:
        ValueError: The name is empty, or the formula cannot be read or reads no field.
    """

    name: str
    formula: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError(f"feature '{self.formula}': its name is empty; name it")
        if not self.expression.fields:
            raise ValueError(f"feature {self.name}: formula '{self.formula}' reads no field; it is a constant")

    @property
    def expression(self) -> Expression:
        """The formula as a tree."""
        return parse(self.formula)


def feature(function: Callable[[Fields], Expression]) -> Feature:
    """Returns the feature that `function` writes down: its name, and the formula of what it returns.

    The function is called once, with the fields as attributes: ``x.close``. What is kept is the text of the formula, so
    the feature is plain data and cannot look ahead.

    Raises:
        ValueError: The function returns something that is not an expression.
    """
    name = function.__name__
    expression = function(Fields())
    if not isinstance(expression, Expression):
        raise ValueError(
            f"feature {name}: the function returns {type(expression).__name__}, expected a formula over x.close, ..."
        )
    return Feature(name, str(expression))


def over_windows(*templates: tuple[str, str]) -> tuple[Feature, ...]:
    """Returns the features of each (name, formula) template for every window; ``{w}`` stands for the window."""
    return tuple(Feature(name.format(w=w), formula.format(w=w)) for name, formula in templates for w in WINDOWS)


def computable(
    name: str, table: Sequence[Feature], fields: Sequence[str]
) -> tuple[list[Feature], dict[str, list[str]]]:
    """Returns the features that need only `fields`, and what the others lack: missing fields -> names of features.

    One log message tells which features are dropped and why.

    Args:
        name: Name of the feature set, for messages.
        table: All its features.
        fields: Fields of the panel.

    Raises:
        ValueError: Two features have one name, a field is misspelt, or nothing can be computed.
    """
    names = [entry.name for entry in table]
    if len(set(names)) != len(names):
        twice = next(entry for entry in names if names.count(entry) > 1)
        raise ValueError(f"{name}: two features are called {twice}; rename one")
    kept: list[Feature] = []
    dropped: dict[str, list[str]] = {}
    for entry in table:
        missing = sorted(entry.expression.fields.difference(fields))
        for field in missing:
            _refuse_typo(name, entry, field, fields)
        if missing:
            dropped.setdefault(", ".join(missing), []).append(entry.name)
        else:
            kept.append(entry)
    if not kept:
        raise ValueError(
            f"{name}: no feature can be computed from {', '.join(fields) or 'no fields'}; "
            f"it needs {'; '.join(dropped) or 'features in its table'}"
        )
    if dropped:
        reasons = "; ".join(f"no {missing}: {_few(entries)}" for missing, entries in dropped.items())
        _warn_once(f"{name}: {len(table) - len(kept)} of {len(table)} features dropped ({reasons})")
    return kept, dropped


def _few(names: Sequence[str], shown: int = 3) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


@cache
def _warn_once(message: str) -> None:
    _LOG.warning("%s", message)  # an audit computes the same features many times


def _refuse_typo(name: str, entry: Feature, field: str, fields: Sequence[str]) -> None:
    close = difflib.get_close_matches(field, (*fields, *USUAL_FIELDS), n=1, cutoff=0.8)
    if field not in USUAL_FIELDS and close:
        raise ValueError(
            f"{name}: feature {entry.name} = '{entry.formula}' needs '{field}'; did you mean '{close[0]}'?"
        )
