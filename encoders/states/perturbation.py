"""Other futures and other assets: panels that agree with a given one where an honest encoder looks, and only there."""

from dataclasses import replace

import numpy as np

from market.arrays import AnyFloatArray, FloatArray
from market.panel import Panel

VOLATILITY = 0.03  # daily, of simulated prices
GAP = 0.01  # typical distance of open, high and low from their neighbours
VANISHING = 0.1  # chance that an asset leaves the list some day after the row; one leaves at once
HALTED = 0.05  # chance that an asset does not trade on a later day; one does not on the next


def noise_after(panel: Panel, row: int, generator: np.random.Generator) -> Panel:
    """Returns the panel with everything after `row` replaced by noise: prices, volumes, listings and halts.

    Rows up to `row` are equal. Later prices are valid bars that continue from the last close; every other field that is
    positive so far stays positive.
    """
    values = np.array(panel.values)
    values[row + 1 :] = _noise(panel[: row + 1], len(panel) - row - 1, generator)
    listed, tradable = np.array(panel.listed), np.array(panel.tradable)
    later, assets = len(panel) - row - 1, len(panel.assets)
    leaves = np.where(generator.random(assets) < VANISHING, generator.integers(0, later + 1, assets), later + 1)
    first, second = generator.permutation(assets)[[0, -1]]
    if assets > 1:  # a lone asset stays, or nothing would be left to look at
        leaves[first] = 0
    listed[row + 1 :] = np.arange(later)[:, None] < leaves
    tradable[row + 1 :] = listed[row + 1 :] & (generator.random((later, assets)) > HALTED)
    tradable[row + 1 : row + 2, second] = False
    return replace(panel, values=values, listed=listed, tradable=tradable)


def unlisted(panel: Panel, asset: int, until: int | None = None) -> Panel:
    """Returns the panel in which an asset is not listed before row `until`; None means never."""
    listed, tradable = np.array(panel.listed), np.array(panel.tradable)
    listed[:until, asset] = tradable[:until, asset] = False
    return replace(panel, listed=listed, tradable=tradable)


def noise_in(panel: Panel, asset: int, generator: np.random.Generator) -> Panel:
    """Returns the panel with all values of one asset replaced by noise; its masks stay."""
    values = np.array(panel.values)
    values[:, asset] = _noise(panel, len(panel), generator)[:, asset]
    return replace(panel, values=values)


def _noise(past: Panel, days: int, generator: np.random.Generator) -> AnyFloatArray:
    # [days, N, F] of the kind of `past`, continuing from its last values
    noise = np.empty((days, *past.shape[1:]), dtype=past.values.dtype)
    bars = _bars(_last(past["close"]), days, generator) if "close" in past else {}
    for k, name in enumerate(past.fields):
        noise[:, :, k] = bars[name] if name in bars else _field(past.values[:, :, k], days, generator)
    return noise


def _bars(start: FloatArray, days: int, generator: np.random.Generator) -> dict[str, FloatArray]:
    shape = (days, len(start))
    close = start * np.exp(np.cumsum(generator.normal(0, VOLATILITY, shape), axis=0))
    opened = close * np.exp(generator.normal(0, GAP, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(generator.normal(0, GAP, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(generator.normal(0, GAP, shape)))
    return {"open": opened, "high": high, "low": low, "close": close}


def _field(past: AnyFloatArray, days: int, generator: np.random.Generator) -> AnyFloatArray:
    known = past[np.isfinite(past)]
    spread = float(known.std()) if len(known) else 1.0
    noise = generator.normal(0, 1, (days, past.shape[1]))
    if len(known) and (known > 0).all():
        return _last(past) * np.exp(noise)
    return noise * (spread or 1.0)


def _last(past: AnyFloatArray) -> FloatArray:
    """Returns the last known positive value of each asset, 1 where there is none."""
    known = np.isfinite(past) & (past > 0)
    row = len(past) - 1 - np.argmax(known[::-1], axis=0)
    return np.where(known.any(axis=0), past[row, np.arange(past.shape[1])], 1.0).astype(np.float64)
