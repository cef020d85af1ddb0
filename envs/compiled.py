"""Compilation of the environments' inner loops."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[F], F]:
    """Returns a decorator that compiles a function which makes no arrays, so that none of its references are counted.

    Counting them takes a fifth of a step. The option is private to numba, whose version is pinned.

    Args:
        **options: More options of `numba.njit`.
    """
    settings: dict[str, Any] = {"cache": True, "_nrt": False, **options}
    return cast(Callable[[F], F], numba.njit(**settings))
