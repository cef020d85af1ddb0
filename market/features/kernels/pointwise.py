"""Operators on the values of one day that numpy answers with infinity or False where a value is missing, compiled.

A ratio to nothing and a comparison with nothing are missing, so that no mean counts them and no cross-section is drawn
apart by them.
"""

import numpy as np
from numba import vectorize

_BINARY = ["float64(float64, float64)"]


@vectorize(_BINARY, cache=True)  # type: ignore[no-untyped-call, untyped-decorator]
def ratio(x: float, y: float) -> float:
    """Quotient; missing where the denominator is zero."""
    return x / y if y != 0.0 else np.nan


@vectorize(_BINARY, cache=True)  # type: ignore[no-untyped-call, untyped-decorator]
def less(x: float, y: float) -> float:
    """1 where x < y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x < y else 0.0)


@vectorize(_BINARY, cache=True)  # type: ignore[no-untyped-call, untyped-decorator]
def less_equal(x: float, y: float) -> float:
    """1 where x <= y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x <= y else 0.0)


@vectorize(_BINARY, cache=True)  # type: ignore[no-untyped-call, untyped-decorator]
def greater(x: float, y: float) -> float:
    """1 where x > y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x > y else 0.0)


@vectorize(_BINARY, cache=True)  # type: ignore[no-untyped-call, untyped-decorator]
def greater_equal(x: float, y: float) -> float:
    """1 where x >= y, else 0; missing where either is."""
    return np.nan if x != x or y != y else (1.0 if x >= y else 0.0)
