"""Computes feature tables in blocks of assets, into memory or straight into a file.

A block is small enough that its intermediate results stay in the processor's cache. Blocks are shared out over
``NUMBA_NUM_THREADS`` threads. A value depends on its own asset alone, so neither the size of the blocks nor the number
of threads changes a bit of the result.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from market.arrays import AnyFloatArray, BoolArray, FeatureArray
from market.features.expressions import parse
from market.features.program import AssetBlock, Program, Value
from market.features.table import Feature, computable
from market.panel import Panel, panel_header
from market.prices.vwap import VWAP, with_vwap
from market.storage import scratch
from market.storage.array_file import ArraySpec, arrays_in_place, release_pages

BLOCK = 4
"""Assets evaluated together."""

STRIPE = 128
"""Assets written to a file before its pages are let go."""

TILE = 64
"""Days whose features are turned from time last to feature last at once, within the cache."""


def compute_features(name: str, table: Sequence[Feature], panel: Panel) -> Panel:
    """Returns the features of `table` as a panel of the same days, assets and masks.

    Row ``t`` uses rows ``<= t`` of `panel` only. An asset's series begins with its first close or its first listed day,
    whichever is earlier: membership of an index decides what may be traded, not what was known. Days on
    which it is halted (listed but not tradable) are missing to every operator: vendors write a flat bar without volume
    there, which is a price that nobody paid. What is not listed is NaN on the way out, and so is every infinity.

    Args:
        name: Name of the feature set, for messages and for the source.
        table: Features; those that need a field the panel lacks are dropped, with one log message.
        panel: Prices, or whatever fields the formulas read; ``vwap`` may come from ``amount`` and ``volume``
            (`market.prices.vwap`).

    Returns:
        Panel of float32 values; its source adds ``features`` (`name`), ``formulas`` and ``dropped_features``.

    Raises:
        ValueError: Two features have one name, a field is misspelt, or nothing can be computed.
    """
    panel = _with_fields(table, panel)
    kept, dropped = computable(name, table, panel.fields)
    values = scratch.empty((len(panel.dates), len(panel.assets), len(kept)), np.float32)
    _fill_in_stripes(values, _program(tuple(entry.formula for entry in kept)), panel)
    return Panel(
        dates=panel.dates,
        assets=panel.assets,
        fields=tuple(entry.name for entry in kept),
        values=values,
        listed=panel.listed,
        tradable=panel.tradable,
        source=_source(name, kept, dropped, panel),
    )


def write_features(name: str, table: Sequence[Feature], panel: Panel, path: str | Path) -> Panel:
    """Computes like `compute_features`, into a panel file at `path`, and returns that panel mapped from the file.

    The values pass through memory a few assets at a time, so the file may be larger than memory.
    """
    panel = _with_fields(table, panel)
    kept, dropped = computable(name, table, panel.fields)
    fields = tuple(entry.name for entry in kept)
    program = _program(tuple(entry.formula for entry in kept))
    header = panel_header(panel.dates, panel.assets, fields, _source(name, kept, dropped, panel))
    specs = {
        "values": ArraySpec((*panel.shape[:2], len(fields)), np.dtype(np.float32)),
        "listed": ArraySpec(panel.listed.shape, panel.listed.dtype),
        "tradable": ArraySpec(panel.tradable.shape, panel.tradable.dtype),
    }
    with arrays_in_place(path, specs, header) as mapped:
        mapped["listed"][...], mapped["tradable"][...] = panel.listed, panel.tradable
        _fill_in_stripes(np.asarray(mapped["values"]), program, panel)
    return Panel.load(path, verify=False)


@lru_cache(maxsize=8)  # an audit computes the same features a hundred times
def _program(formulas: tuple[str, ...]) -> Program:
    return Program([parse(formula) for formula in formulas])


def _with_fields(table: Sequence[Feature], panel: Panel) -> Panel:
    """Returns the panel with its average price of the day, where a feature reads that and the panel tells it."""
    return with_vwap(panel) if any(VWAP in entry.expression.fields for entry in table) else panel


def _source(name: str, kept: Sequence[Feature], dropped: Mapping[str, Sequence[str]], panel: Panel) -> dict[str, Any]:
    formulas = {entry.name: entry.formula for entry in kept}
    return {**panel.source, "features": name, "formulas": formulas, "dropped_features": dict(dropped)}


def _fill_in_stripes(values: FeatureArray, program: Program, panel: Panel) -> None:
    """Writes the outputs of `program` to ``values [T, N, F]``; of values in a file few assets stay in memory."""
    stripe = len(panel.assets) if values.base is None else STRIPE
    for first in range(0, len(panel.assets), max(1, stripe)):
        _fill(values, program, panel, range(first, min(first + stripe, len(panel.assets))))
        release_pages(values)


def _fill(values: FeatureArray, program: Program, panel: Panel, assets: range) -> None:
    """Writes the outputs of `program` for `assets` to ``values [T, N, F]``."""
    # numba.get_num_threads() would start numba's own pool, and with it change the number of torch's threads
    blocks = iter([assets[first : first + BLOCK] for first in range(0, len(assets), BLOCK)])
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    workers = max(1, min(threads, -(-len(assets) // BLOCK)))
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(_work, blocks, values, program, panel) for _ in range(workers)]:
            done.result()


def _work(blocks: Iterator[range], values: FeatureArray, program: Program, panel: Panel) -> None:
    buffer = np.empty((BLOCK, values.shape[2], values.shape[0]), dtype=np.float32)
    for assets in blocks:  # every thread draws from the same iterator
        results = buffer[: len(assets)]

        def write(position: int, value: Value, results: FeatureArray = results) -> None:
            results[:, position] = value

        program.run(_block(panel, assets, program.fields), write)
        _scatter(results, panel.listed, assets.start, values)


def _block(panel: Panel, assets: range, fields: Sequence[str]) -> AssetBlock:
    columns = slice(assets.start, assets.stop)
    halted = np.ascontiguousarray((panel.listed & ~panel.tradable)[:, columns].T)
    values: AnyFloatArray = panel.values[:, columns, [panel.fields.index(name) for name in fields]]
    inputs = np.where(halted, np.nan, np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float64))
    quoted = np.isfinite(panel["close"][:, columns].T) if "close" in panel else np.isfinite(inputs).any(axis=0)
    known = quoted | np.ascontiguousarray(panel.listed[:, columns].T)
    started = np.logical_or.accumulate(known, axis=1)
    return AssetBlock(
        fields=dict(zip(fields, inputs, strict=True)),
        start=len(panel) - started.sum(axis=1),
        before=~started,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _scatter(block: FeatureArray, listed: BoolArray, asset: int, out: FeatureArray) -> None:
    # Writes block [n, F, T] to the assets from `asset` on of out [T, N, F]; NaN where unlisted or infinite.
    assets, features, days = block.shape
    tile = np.empty((TILE, features), np.float32)
    for first in range(0, days, TILE):
        last = min(first + TILE, days)
        for a in range(assets):
            for f in range(features):
                for t in range(first, last):
                    tile[t - first, f] = block[a, f, t]
            for t in range(first, last):
                largest = np.float32(np.inf if listed[t, asset + a] else -1.0)
                for f in range(features):
                    value = tile[t - first, f]
                    out[t, asset + a, f] = value if abs(value) < largest else np.float32(np.nan)
