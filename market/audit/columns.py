"""Outputs of a function of a panel as named columns, and the comparison of two of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from market.arrays import AnyFloatArray, BoolArray, FloatArray, IntArray
from market.panel import Panel
from market.storage.array_file import release_pages

BLOCK = 256  # days compared at once
LOOKED_AT = 1 << 20  # cells compared at once, at most: what is made of them on the way stays in the processor's cache
SAMPLED = 20_000_000  # cells of a column's sample, at most
ROUNDING = 4 * float(np.finfo(np.float32).eps)


class Columns(NamedTuple):
    """Numbers of every day.

    Attributes:
        values: ``[T, K, F]``; K is the number of assets, or 1 where a column says the same of all.
        names: F names.
    """

    values: AnyFloatArray
    names: tuple[str, ...]


Recompute = Callable[[Panel], Sequence[Columns]]
"""Makes of a panel what is to be audited: the same columns, in the same order, of any days and assets."""


class Difference(NamedTuple):
    """Where a column differs.

    Attributes:
        name: Of the column.
        row: First row of the panel on which it does.
        asset: Asset there, or 0 for a column of all.
        size: Largest difference, NaN where values came or went.
        days: Number of rows on which it differs.
        shared: Whether the column says the same of all assets.
    """

    name: str
    row: int
    asset: int
    size: float
    days: int
    shared: bool

    def place(self, panel: Panel) -> str:
        """Returns the day, and the asset where only one moved."""
        return f"{panel.dates[self.row]}" if self.shared else f"{panel.dates[self.row]} of {panel.assets[self.asset]}"

    def amount(self) -> str:
        """Returns how far it moved."""
        return f"up to {self.size:.3g}" if np.isfinite(self.size) else "to or from nothing"


def spreads(columns: Sequence[Columns]) -> list[FloatArray]:
    """Returns the standard deviation of each column over a sample of days, ``[F]`` each; 1 where there is none."""
    found = []
    for one in columns:
        days = max(8, min(200, SAMPLED // max(1, one.values[:1].size)))
        sample = np.asarray(one.values[:: max(1, len(one.values) // days)], dtype=np.float64)
        release_pages(one.values)
        cells = sample.reshape(-1, len(one.names))
        known = np.isfinite(cells)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, cells, 0).sum(axis=0) / count
        square = np.where(known, cells - mean, 0)
        spread = np.sqrt((square**2).sum(axis=0) / count)
        found.append(np.where(spread > 0, spread, 1.0))
    return found


def moved(before: AnyFloatArray, after: AnyFloatArray, spread: FloatArray, tolerance: float) -> BoolArray:
    """Returns where values ``[n, K, F]`` differ by more than rounding: `tolerance` of the column's deviation."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(after.astype(np.float64) - before)
        limit = tolerance * spread + ROUNDING * np.abs(before)
        same = (before == after) | ((before != before) & (after != after)) | (gap <= limit)
    different: BoolArray = ~same
    return different


def same_bits(before: AnyFloatArray, after: AnyFloatArray) -> BoolArray:
    """Returns where values are the same to the bit: two NaN are, zero and minus zero are not."""
    if before.dtype != after.dtype or before.dtype.itemsize not in (4, 8):
        equal: BoolArray = (before == after) | ((before != before) & (after != after))
        return equal
    bits = np.dtype(f"i{before.dtype.itemsize}")
    found: BoolArray = before.view(bits) == after.view(bits)
    return found


def differences(
    before: Sequence[Columns],
    after: Sequence[Columns],
    rows: IntArray,
    spread: Sequence[FloatArray],
    tolerance: float,
    skipped: frozenset[str] = frozenset(),
) -> Iterator[Difference]:
    """Yields a difference for each column that moved on `rows`, which both sides have at the same places."""
    for one, other, scale in zip(before, after, spread, strict=True):
        wrong = moved_days(one, other, rows, scale, tolerance)
        for k in np.flatnonzero(wrong.any(axis=0)):
            if one.names[k] not in skipped:
                days = rows[wrong[:, k]]
                yield _described(one, other, int(k), days, scale, tolerance)


def moved_days(one: Columns, other: Columns, rows: IntArray, spread: FloatArray, tolerance: float) -> BoolArray:
    """Returns on which of the `rows` each column has moved, for any asset, ``[n, F]``."""
    _refuse_other_shape(one, other)
    wrong = np.zeros((len(rows), len(one.names)), np.bool_)
    length = max(1, min(BLOCK, LOOKED_AT // max(1, one.values[:1].size)))
    for first in range(0, len(rows), length):
        part = _stretch(rows[first : first + length])
        a, b = one.values[part], other.values[part]
        odd = np.flatnonzero(~same_bits(a, b).all(axis=(0, 1)))
        if len(odd):
            wrong[first : first + length, odd] = moved(a[..., odd], b[..., odd], spread[odd], tolerance).any(axis=1)
        release_pages(one.values)
        release_pages(other.values)
    return wrong


def _stretch(rows: IntArray) -> slice | IntArray:
    """Returns rows that follow one another as a slice, which copies nothing."""
    return slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else rows


def _described(
    one: Columns, other: Columns, column: int, days: IntArray, spread: FloatArray, tolerance: float
) -> Difference:
    a, b = (np.asarray(side.values[:, :, column : column + 1][days], dtype=np.float64) for side in (one, other))
    wrong = moved(a, b, spread[column : column + 1], tolerance)[..., 0]
    gaps = np.abs(a - b)[..., 0][wrong]
    size = float(np.nanmax(gaps)) if np.isfinite(gaps).any() else float("nan")
    asset = int(np.argmax(wrong[0]))
    return Difference(one.names[column], int(days[0]), asset, size, len(days), one.values.shape[1] == 1)


def _refuse_other_shape(one: Columns, other: Columns) -> None:
    if one.names != other.names or one.values.shape != other.values.shape:
        raise ValueError(
            f"audit: a panel of the same days and assets gave columns {other.values.shape}, {other.names[:3]}..., "
            f"where there were {one.values.shape}, {one.names[:3]}...; compute the same columns of every panel"
        )
