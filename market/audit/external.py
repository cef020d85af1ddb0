"""Columns that were computed elsewhere: nobody here can prove what they know, so they are declared, and said to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.arrays import AnyFloatArray


@dataclass(frozen=True)
class External:
    """A column that does not recompute from the panel, and how long after its day it was known.

    Attributes:
        name: Name of the column.
        lag: Trading days from the day that a value is of to the close after which it was known: 0 for a value that was
            published before that day's close.
    """

    name: str
    lag: int

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("external column: its name is empty; name it")
        if self.lag < 0:
            raise ValueError(
                f"external column {self.name}: lag is {self.lag} days, expected 0 or more; say when it was known"
            )


def externals_of(features: Any) -> tuple[External, ...]:
    """Returns the columns that a feature set declares in its attribute ``external``; none where it has no such."""
    return tuple(getattr(features, "external", ()))


def shifted(values: AnyFloatArray, names: Sequence[str], external: Sequence[External]) -> AnyFloatArray:
    """Returns ``values [T, N, F]`` with each external column moved down by its lag: row ``t`` holds what was known.

    The first rows of such a column are NaN. Other columns are as they were.

    Raises:
        ValueError: An external column is none of the names.
    """
    moved = np.array(values)
    for one in external:
        if one.name not in names:
            raise ValueError(f"external column '{one.name}' is none of the {len(names)} columns; correct its name")
        column = list(names).index(one.name)
        moved[: one.lag, :, column] = np.nan
        moved[one.lag :, :, column] = values[: len(values) - one.lag, :, column]
    return moved
