"""Arrays that may be larger than memory: from some size on they lie in a nameless file, which ends with the array.

Whoever walks through such an array a few days at a time, and lets go of the pages behind it
(`market.storage.array_file.release_pages`), holds those days in memory and no more.
"""

import os
import tempfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from market.arrays import AnyArray
from market.storage.array_file import release_pages, take_room

LARGE = 3 << 29
"""Bytes from which an array lies in a file."""
FOLDER = "FACTORGYM_SCRATCH"
"""Variable that names a folder for these files; without it they go where temporary files go."""
CELLS = 1 << 25
"""Cells that are looked at together."""


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
    """Returns an array with arbitrary content, in memory or, where it is large, on disk.

    Raises:
        ValueError: There is no room for it.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if size < LARGE:
        return np.empty(shape, kind)
    folder = os.environ.get(FOLDER) or tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder, prefix="factorgym-") as file:
            take_room(file.fileno(), size)
            return np.asarray(np.memmap(file, kind, "r+", shape=shape))
    except OSError as error:
        raise ValueError(
            f"{folder}: no room for an array of {size / 1e9:.1f} GB ({error}); free some, or set {FOLDER} to a folder "
            "with more"
        ) from None


def day_blocks(array: AnyArray, most: int = 256) -> Iterator[slice]:
    """Yields stretches of the first axis, of `most` rows or of `CELLS`, and lets go of the pages of each after it."""
    length = max(1, min(most, CELLS // max(1, array[:1].size)))
    for first in range(0, len(array), length):
        yield slice(first, first + length)
        release_pages(array)


def copied(array: AnyArray) -> AnyArray:
    """Returns a copy, a stretch of days at a time."""
    copy = empty(array.shape, array.dtype)
    for rows in day_blocks(array):
        copy[rows] = array[rows]
        release_pages(copy)
    return copy
