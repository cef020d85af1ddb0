"""Where two JSON values differ, in words."""

from typing import Any


def first_difference(before: Any, now: Any, where: str = "") -> str | None:
    """Returns the first place where two JSON values differ, as ``place before, now now``; None where they are equal.

    Objects are compared field by field, in the order of `before`; tuples equal lists.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            inner = first_difference(before.get(name), now.get(name), f"{where}.{name}" if where else str(name))
            if inner:
                return inner
        return None
    before, now = (list(value) if isinstance(value, tuple) else value for value in (before, now))
    return None if before == now else f"{where} {before!r}, now {now!r}"
