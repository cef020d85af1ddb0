"""Names for the array types of the project, with shapes in comments beside their use, and checks of dates and names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
"""Money and prices: double precision, always."""

FeatureArray = npt.NDArray[np.float32]
"""Features and states: single precision."""

AnyFloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.int32]
DateArray = npt.NDArray[np.datetime64]
"""``datetime64[D]``, strictly increasing."""

AnyArray = npt.NDArray[Any]


def check_dates(owner: str, dates: DateArray) -> None:
    """Refuses dates that are not strictly increasing days; `owner` begins the message."""
    if dates.ndim != 1 or dates.dtype != np.dtype("datetime64[D]"):
        raise ValueError(f"{owner}: dates are {dates.dtype} {dates.shape}, expected one axis of datetime64[D]")
    if np.isnat(dates).any():
        raise ValueError(f"{owner}: date {int(np.isnat(dates).argmax())} is not a day (NaT)")
    late = np.flatnonzero(dates[1:] <= dates[:-1])
    if len(late):
        raise ValueError(f"{owner}: dates must increase, but {dates[late[0] + 1]} follows {dates[late[0]]}")


def check_distinct(owner: str, names: Sequence[str]) -> None:
    """Refuses names of which one stands twice; `owner` begins the message."""
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{owner} must be distinct, but '{twice}' stands twice")
