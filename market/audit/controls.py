"""Positive controls: an audit that looks at something which cannot move would pass whatever it is shown.

A column must move when the panel does, must not depend on what the days and the assets are called, where they stand or
when the panel begins, and must not move when a later split or dividend restates the past.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from market.arrays import AnyFloatArray, BoolArray, IntArray
from market.audit.columns import LOOKED_AT, Columns, Difference, Recompute, differences, moved, spreads
from market.audit.worlds import restated, rewritten
from market.panel import Panel
from market.storage import scratch
from market.storage.array_file import release_pages

YEARS = 28
"""After so many years weekdays, months and leap days are the same again, within a century."""
DISGUISED = "disguised"
"""Key in the source of a panel whose dates and names are not the true ones, so that no table has them."""

CYCLE = np.timedelta64(10_227, "D")
ROWS = 256  # of the days looked at where a share of them decides
MOST = 0.5  # of the known days on which a column must move
LEVEL_MOVE, LEVEL_SHARE = 1e-2, 0.01  # of a deviation, on a share of the cells: more than rounding
DROPPED = 37  # first days left out


def frozen_columns(
    compute: Recompute, panel: Panel, original: Sequence[Columns], generator: np.random.Generator, tolerance: float
) -> Iterator[str]:
    """Yields the columns that do not move on most of their days when every cell of the panel becomes another one.

    Columns that hold one and the same value everywhere hold nothing, and are left out.
    """
    other = compute(rewritten(panel, generator))
    for one, after, spread in zip(original, other, spreads(original), strict=True):
        days, changed = np.zeros(len(one.names), np.int64), np.zeros(len(one.names), np.int64)
        for _, before, there in _sampled_blocks(one, after):
            either = np.isfinite(before) | np.isfinite(there)
            days += either.any(axis=1).sum(axis=0)
            changed += moved(before, there, spread, tolerance).any(axis=1).sum(axis=0)
        for k, name in enumerate(one.names):
            if days[k] and changed[k] < MOST * days[k] and not _constant(one.values[:, :, k]):
                yield name


def dependent_on_names(
    compute: Recompute, panel: Panel, original: Sequence[Columns], tolerance: float, skipped: frozenset[str]
) -> Iterator[Difference]:
    """Yields where columns differ once days lie 28 years away and assets have other names in another order.

    Raises:
        LookupError: The function looks days or assets up in something that is not the panel.
    """
    order = np.roll(np.arange(len(panel.assets))[::-1], 1)
    found = compute(_disguised(panel, order))
    back = np.argsort(order)
    plain = [
        one._replace(values=_reordered(one.values, back) if one.values.shape[1] > 1 else one.values) for one in found
    ]
    rows = np.arange(len(panel))
    yield from differences(original, plain, rows, spreads(original), tolerance, skipped)


def dependent_on_start(
    compute: Recompute,
    panel: Panel,
    original: Sequence[Columns],
    memory: int,
    tolerance: float,
    skipped: frozenset[str],
) -> Iterator[Difference]:
    """Yields where columns differ, once their memory is full, if the panel begins some weeks later."""
    if len(panel) <= DROPPED + memory:
        return
    found = compute(panel[DROPPED:])
    cut = [one._replace(values=one.values[DROPPED:]) for one in original]
    rows = np.arange(memory, len(panel) - DROPPED)
    for one in differences(cut, found, rows, spreads(original), tolerance, skipped):
        yield one._replace(row=one.row + DROPPED)


def level_columns(
    compute: Recompute, panel: Panel, generator: np.random.Generator, skipped: frozenset[str]
) -> Iterator[tuple[str, str, int]]:
    """Yields the columns that move when later splits or dividends restate the past.

    Each comes with which of the two moves it, and the first of the days looked at on which it does.
    """
    panel = _with_quoted_close(panel)
    before = compute(panel)
    for word, splits in (("split", True), ("dividend", False)):
        after = compute(restated(panel, generator, splits))
        for one, other, spread in zip(before, after, spreads(before), strict=True):
            known, changed = np.zeros(len(one.names), np.int64), np.zeros(len(one.names), np.int64)
            first = np.full(len(one.names), len(panel))
            for rows, own, there in _sampled_blocks(one, other):
                known += np.isfinite(own).sum(axis=(0, 1))
                odd = moved(own, there, spread, LEVEL_MOVE)
                changed += odd.sum(axis=(0, 1))
                first = np.minimum(first, np.where(odd.any(axis=1), rows[:, None], len(panel)).min(axis=0))
            share = changed / np.maximum(known, 1)
            for k in np.flatnonzero(share > LEVEL_SHARE):
                if one.names[k] not in skipped:
                    yield one.names[k], word, int(first[k])


def _sampled_blocks(one: Columns, other: Columns) -> Iterator[tuple[IntArray, AnyFloatArray, AnyFloatArray]]:
    """Yields the same sampled days of both, a few at a time, each time with their rows."""
    rows = _sample(len(one.values))
    length = max(1, LOOKED_AT // max(1, one.values[:1].size))
    for first in range(0, len(rows), length):
        part = rows[first : first + length]
        yield part, np.asarray(one.values[part]), np.asarray(other.values[part])
        release_pages(one.values)
        release_pages(other.values)


def _reordered(values: AnyFloatArray, order: IntArray) -> AnyFloatArray:
    """Returns the values with their assets in another order."""
    found = scratch.empty(values.shape, values.dtype)
    for rows in scratch.day_blocks(values):
        found[rows] = values[rows][:, order]
        release_pages(found)
    return found


def _disguised(panel: Panel, order: IntArray) -> Panel:
    ahead = panel.dates[-1] + CYCLE < np.datetime64("2100-01-01")
    plain = panel.select([panel.assets[n] for n in order])
    names = tuple(f"asset {k}" for k in range(len(order)))
    source = {**panel.source, DISGUISED: True}
    return replace(plain, dates=panel.dates + CYCLE if ahead else panel.dates - CYCLE, assets=names, source=source)


def _with_quoted_close(panel: Panel) -> Panel:
    """Returns the panel with the closes that were quoted, where it has no money and its closes are all there is."""
    if "close" not in panel or "raw_close" in panel or "amount" in panel:
        return panel
    values = np.concatenate([panel.values, panel["close"][..., None]], axis=2)
    return replace(panel, fields=(*panel.fields, "raw_close"), values=values)


def _sample(days: int) -> IntArray:
    return np.unique(np.linspace(0, days - 1, min(days, ROWS)).astype(np.int64))


def _constant(values: AnyFloatArray) -> bool:
    known: BoolArray = np.isfinite(values)
    return not known.any() or bool(np.ptp(values[known]) == 0)
