"""Which days are rewritten and which rows are then compared, so that every row is compared with every lead.

A function whose row ``t`` reads its last `memory` rows may be asked about many cuts at once: rows are rewritten in
stretches that lie `memory` rows apart, and the row in front of a stretch must not move. Stretches of one length see
leads of about that length, so lengths grow, four times with each step, until they pass the whole calendar. A row that
reads tomorrow on a single day of ten years is found as surely as one that reads the end of the year.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from market.arrays import BoolArray, IntArray

SHORTEST = 8
"""Days of the shortest stretch."""
GROWTH = 4
"""Each length over the one before: with 2 there are a tenth more recomputations for the same pairs of days."""


class Pattern(NamedTuple):
    """One rewriting of a calendar.

    Attributes:
        changed: ``[T]``, true on days that are rewritten.
        tested: Rows in front of a rewritten stretch that must not move.
        distance: Days from each tested row to the first rewritten one, at least 1.
        length: Days of a stretch: a tested row sees leads from its distance to its distance plus this, less one.
    """

    changed: BoolArray
    tested: IntArray
    distance: IntArray
    length: int


def patterns(days: int, memory: int) -> Iterator[Pattern]:
    """Yields patterns that together compare every row with every later row, for functions of the last `memory` rows.

    For every row ``t`` and every lead from 1 to ``days - 1 - t`` there is a pattern in which row ``t + lead`` is
    rewritten while the rows from ``t - memory + 1`` to ``t`` are not (tested).

    Args:
        days: Rows of the calendar.
        memory: Rows that a result reads, its own included.
    """
    length, reach = SHORTEST, 1
    while True:
        kept = memory + reach - 1
        for phase in range(0, kept + length, reach):
            found = _pattern(days, kept, length, phase, reach)
            if len(found.tested):
                yield found
        if length >= days:
            return
        length, reach = GROWTH * length, length


def _pattern(days: int, kept: int, length: int, phase: int, reach: int) -> Pattern:
    rows = np.arange(days)
    period = kept + length
    changed = (rows - phase) % period < length
    distance = (phase - rows) % period
    following = rows + distance < days
    tested = np.flatnonzero(~changed & (distance >= 1) & (distance <= reach) & following)
    return Pattern(changed, tested, distance[tested], length)


def spells(days: int, length: int, apart: int) -> BoolArray:
    """Returns stretches of `length` days that begin every `apart` days, ``[T]``; the first after a while."""
    changed: BoolArray = (np.arange(days) - apart // 4) % apart < length
    return changed
