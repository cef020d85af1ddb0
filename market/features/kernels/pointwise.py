"""Operators on the values of one day that numpy answers with infinity or False where a value is missing, compiled.

A ratio to nothing and a comparison with nothing are missing, so that no mean counts them and no cross-section is drawn
apart by them.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np
from numba import vectorize


def _elementwise(function: Callable[[float, float], float]) -> Callable[[Any, Any], Any]:
    """Returns the function of two arrays that applies one of two numbers, compiled (or fetched) when first called."""

    @lru_cache(maxsize=1)
    def compiled() -> Callable[[Any, Any], Any]:
        made: Callable[[Any, Any], Any] = vectorize(["float64(float64, float64)"], cache=True)(  # type: ignore[no-untyped-call]
            function
        )
        return made

    @wraps(function)
    def apply(x: Any, y: Any) -> Any:
        return compiled()(x, y)

    return apply


@_elementwise
def ratio(x: float, y: float) -> float:
    """Quotient; missing where the denominator is zero."""
    return x / y if y != 0.0 else np.nan


@_elementwise
def less(x: float, y: float) -> float:
    """1 where x < y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x < y else 0.0)


@_elementwise
def less_equal(x: float, y: float) -> float:
    """1 where x <= y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x <= y else 0.0)


@_elementwise
def greater(x: float, y: float) -> float:
    """1 where x > y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x > y else 0.0)


@_elementwise
def greater_equal(x: float, y: float) -> float:
    """1 where x >= y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x >= y else 0.0)
