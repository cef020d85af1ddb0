"""Patterns compare every row with every later one, and never touch what a row may remember."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.audit.patterns import patterns


@settings(deadline=None, max_examples=40)
@given(days=st.integers(2, 220), memory=st.integers(1, 70))
def test_every_row_is_compared_with_every_lead(days: int, memory: int) -> None:
    seen = np.zeros((days, days), bool)
    for pattern in patterns(days, memory):
        for row in pattern.tested:
            assert not pattern.changed[max(0, row - memory + 1) : row + 1].any()
            seen[row] |= pattern.changed
    later = np.triu(np.ones((days, days), bool), k=1)
    assert (seen & later).sum() == later.sum()


def test_the_distance_is_that_to_the_first_rewritten_day() -> None:
    for pattern in patterns(150, 20):
        for row, distance in zip(pattern.tested, pattern.distance, strict=True):
            assert pattern.changed[row + distance]
            assert not pattern.changed[row : row + distance].any()


@pytest.mark.parametrize(("days", "most"), [(4000, 120), (2600, 120)])
def test_few_recomputations_are_enough(days: int, most: int) -> None:
    assert sum(1 for _ in patterns(days, 63)) <= most
