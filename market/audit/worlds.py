"""Other worlds: panels that agree with a given one on some days, and are rewritten on all others.

What is rewritten holds what seldom happens (halts, missing bars, delistings, new listings, splits, moves to the limit,
days without volume), so that a rule that waits for such a day has something to betray.
"""

from dataclasses import dataclass, replace

import numpy as np

from market.arrays import AnyFloatArray, BoolArray, FloatArray, IntArray
from market.panel import PRICES, Panel

MOVE = 0.05  # standard deviation of what a rewritten price is away from the true one
GAP = 0.01  # typical distance of open, high and low from their neighbours
LONGEST_HALT = 10
LATEST = 64  # days by which a listing is put off, at most
LIMIT = 0.1
SPLITS = (0.05, 0.5, 2.0, 20.0)
FEW = 4  # a field with so few values is a flag


@dataclass(frozen=True)
class RareEvents:
    """How often something seldom happens, as shares of the cells (of the assets: `unlisted`, `split`).

    Attributes:
        halted: Listed, not tradable, a flat bar without volume; for one to ten days.
        missing: No bar on a listed day.
        silent: A bar without volume that can be traded.
        limit: A close 10 % above or below the one before.
        unlisted: Assets that are off the list for a while, so that there are delistings and new listings.
        split: Assets whose price changes its unit on a day.
        gone: Assets that leave the list for good, and of those that come late, assets that come later still.
    """

    halted: float = 0.03
    missing: float = 0.01
    silent: float = 0.005
    limit: float = 0.005
    unlisted: float = 0.15
    split: float = 0.25
    gone: float = 0.0


RARE = RareEvents()
FREQUENT = RareEvents(halted=0.1, missing=0.04, silent=0.02, limit=0.02, unlisted=0.3, split=0.5, gone=0.15)


def eventful(panel: Panel, events: RareEvents, generator: np.random.Generator) -> Panel:
    """Returns the panel with events strewn over it; every other cell is as it was."""
    values = np.array(panel.values)
    listed, tradable = np.array(panel.listed), np.array(panel.tradable)
    _split(panel, values, events.split, generator)
    _move_to_the_limit(panel, values, generator.random(listed.shape) < events.limit, generator)
    halted = _runs(listed.shape, events.halted, generator) & listed
    _halt(panel, values, halted)
    if "volume" in panel:
        values[generator.random(listed.shape) < events.silent, panel.fields.index("volume")] = 0.0
    missing = (generator.random(listed.shape) < events.missing) & listed
    values[missing] = np.nan
    tradable &= ~halted & ~missing
    absent = _absences(listed, events.unlisted, generator)
    absent |= _departures(listed, events.gone, generator)
    return replace(panel, values=values, listed=listed & ~absent, tradable=tradable & ~absent)


def rewritten(panel: Panel, generator: np.random.Generator, events: RareEvents = FREQUENT) -> Panel:
    """Returns another world of the same days and assets: every value that is known is another one, with many events.

    Bars are valid and of the size of the true ones; other fields keep their sign and their kind.
    """
    values = np.empty_like(panel.values)
    bars = _bars(panel, generator)
    for k, name in enumerate(panel.fields):
        values[:, :, k] = bars[name] if name in bars else _field(panel.values[:, :, k], generator)
    return eventful(replace(panel, values=values), events, generator)


def spliced(panel: Panel, other: Panel, changed: BoolArray) -> Panel:
    """Returns the panel with the rows of `other` on the days that are `changed` ``[T]``."""
    values, listed, tradable = np.array(panel.values), np.array(panel.listed), np.array(panel.tradable)
    values[changed], listed[changed], tradable[changed] = (
        other.values[changed],
        other.listed[changed],
        other.tradable[changed],
    )
    return replace(panel, values=values, listed=listed, tradable=tradable)


def rewritten_after(panel: Panel, row: int, other: Panel) -> Panel:
    """Returns the panel with everything after `row` as in `other`."""
    return spliced(panel, other, np.arange(len(panel)) > row)


def restated(panel: Panel, generator: np.random.Generator, splits: bool) -> Panel:
    """Returns the panel as a vendor would give it after later splits, or else dividends.

    An asset's past is in other units then: prices are multiplied by a constant of each asset, and after splits its
    volumes divided by it. Money that was traded (``amount``) stays. A quoted close (``raw_close``) and its volume
    (``raw_volume``) follow splits, which vendors apply to them too, and no dividend.
    """
    constant = generator.choice([0.125, 0.25, 0.5, 2.0, 4.0], len(panel.assets))
    if not splits:
        constant = generator.uniform(0.6, 0.95, len(panel.assets))
    values = np.array(panel.values)
    for k, name in enumerate(panel.fields):
        if name in (*PRICES, "vwap", "adj_close") or (splits and name == "raw_close"):
            values[:, :, k] *= constant
        elif splits and name in ("volume", "raw_volume"):
            values[:, :, k] /= constant
    return replace(panel, values=values)


def _bars(panel: Panel, generator: np.random.Generator) -> dict[str, FloatArray]:
    if "close" not in panel:
        return {}
    shape = panel.shape[:2]
    close = _filled(panel["close"]) * np.exp(generator.normal(0, MOVE, shape))
    opened = close * np.exp(generator.normal(0, GAP, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(generator.normal(0, GAP, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(generator.normal(0, GAP, shape)))
    return {"open": opened, "high": high, "low": low, "close": close}


def _field(values: AnyFloatArray, generator: np.random.Generator) -> AnyFloatArray:
    known = values[np.isfinite(values)]
    kinds = np.unique(known[:: max(1, len(known) // 10_000)])
    if 1 < len(kinds) <= FEW:
        return generator.choice(kinds, values.shape)
    noise = generator.normal(0, 1, values.shape)
    if len(known) and (known >= 0).all():
        return _filled(values) * np.exp(noise)
    return noise * (float(known.std()) if len(known) else 1.0)


def _filled(values: AnyFloatArray) -> FloatArray:
    """Returns each asset's last known positive value, before the first one its first; 1 where there is none."""
    known = np.isfinite(values) & (values > 0)
    days = np.arange(len(values))[:, None]
    row = np.maximum.accumulate(np.where(known, days, 0), axis=0)
    row = np.maximum(row, np.argmax(known, axis=0)[None])
    filled = np.take_along_axis(values, row, axis=0).astype(np.float64)
    return np.where(known.any(axis=0), filled, 1.0)


def _runs(shape: tuple[int, ...], share: float, generator: np.random.Generator) -> BoolArray:
    """Returns cells ``[T, N]`` in runs of one to ten days that make up about `share` of them."""
    marked = np.zeros(shape, np.bool_)
    starts = np.argwhere(generator.random(shape) < share * 2 / (1 + LONGEST_HALT))
    lengths = generator.integers(1, LONGEST_HALT + 1, len(starts))
    for (day, asset), length in zip(starts, lengths, strict=True):
        marked[day : day + length, asset] = True
    return marked


def _halt(panel: Panel, values: AnyFloatArray, halted: BoolArray) -> None:
    if "close" in panel:
        close = _filled(values[:, :, panel.fields.index("close")])
        row = np.maximum.accumulate(np.where(halted, 0, np.arange(len(halted))[:, None]), axis=0)
        last = np.take_along_axis(close, row, axis=0)
        for name in PRICES:
            if name in panel:
                values[halted, panel.fields.index(name)] = last[halted]
    for name in ("volume", "amount"):
        if name in panel:
            values[halted, panel.fields.index(name)] = 0.0


def _move_to_the_limit(panel: Panel, values: AnyFloatArray, moved: BoolArray, generator: np.random.Generator) -> None:
    if "close" not in panel:
        return
    before = _filled(values[:, :, panel.fields.index("close")])
    limit = before[:-1] * np.where(generator.random(before[1:].shape) < 0.5, 1 + LIMIT, 1 - LIMIT)
    cells = moved[1:]
    for name in PRICES:
        if name in panel:
            column = values[1:, :, panel.fields.index(name)]
            column[cells] = limit[cells]


def _split(panel: Panel, values: AnyFloatArray, share: float, generator: np.random.Generator) -> None:
    for asset in np.flatnonzero(generator.random(len(panel.assets)) < share):
        day, ratio = int(generator.integers(0, max(1, len(panel)))), float(generator.choice(SPLITS))
        for name in PRICES:
            if name in panel:
                values[day:, asset, panel.fields.index(name)] *= ratio
        if "volume" in panel:
            values[day:, asset, panel.fields.index("volume")] /= ratio


def _absences(listed: BoolArray, share: float, generator: np.random.Generator) -> BoolArray:
    """Returns where assets are off the list: spells of up to a quarter that begin after the asset's first weeks.

    One asset at least stays, and at least one goes where there are several.
    """
    days, assets = listed.shape
    absent = np.zeros(listed.shape, np.bool_)
    if assets < 2:
        return absent
    for asset in _some(np.arange(assets), share, generator)[: assets - 1]:
        begins = int(np.argmax(listed[:, asset]))
        for _ in range(1 + days // 500):
            start = begins + int(generator.integers(1, max(2, days - begins)))
            absent[start : start + int(generator.integers(2, 64)), asset] = True
    return absent


def _departures(listed: BoolArray, share: float, generator: np.random.Generator) -> BoolArray:
    """Returns where assets have left for good, or are not listed yet: who survives, and who comes, is another one.

    One asset at least stays to the end. At least one goes where there are several, and one comes later if any comes
    late; nothing happens where `share` is 0.
    """
    days, assets = listed.shape
    absent = np.zeros(listed.shape, np.bool_)
    if assets < 2 or not share:
        return absent
    first = listed.argmax(axis=0)
    for asset in _some(np.arange(assets), share, generator)[: assets - 1]:
        absent[int(generator.integers(first[asset] + 1, max(first[asset] + 2, days))) :, asset] = True
    for asset in _some(np.flatnonzero(first > 0), share, generator):
        absent[: first[asset] + int(generator.integers(1, LATEST)), asset] = True
    return absent


def _some(assets: IntArray, share: float, generator: np.random.Generator) -> IntArray:
    """Returns a share of some assets, at least one where there are any."""
    chosen = assets[generator.random(len(assets)) < share]
    return chosen if len(chosen) or not len(assets) else generator.choice(assets, 1)
