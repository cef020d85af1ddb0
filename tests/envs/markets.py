"""Made-up markets with everything that goes wrong in real ones."""

import numpy as np

from market.panel import Panel
from market.states import PROVENANCE, MarketStates

FIELDS = ("open", "high", "low", "close", "volume")


def panel_of(
    close: np.ndarray,
    open_: np.ndarray | None = None,
    listed: np.ndarray | None = None,
    tradable: np.ndarray | None = None,
    volume: np.ndarray | None = None,
) -> Panel:
    """Returns a panel of the closes ``[T, N]``; opens equal closes and everything trades unless given."""
    close = np.asarray(close, dtype=np.float64)
    open_ = close if open_ is None else np.asarray(open_, dtype=np.float64)
    volume = np.full_like(close, 1e6) if volume is None else volume
    listed = np.ones(close.shape, bool) if listed is None else listed
    tradable = listed.copy() if tradable is None else tradable
    bars = [open_, np.fmax(open_, close), np.fmin(open_, close), close, volume]
    dates = np.datetime64("2020-01-01", "D") + np.arange(len(close))
    names = tuple(f"A{n}" for n in range(close.shape[1]))
    return Panel(dates, names, FIELDS, np.stack(bars, axis=2), listed, tradable & listed)


def plain_panel(days: int = 60, assets: int = 3, seed: int = 0, volatility: float = 0.02) -> Panel:
    """Returns a random walk in which every asset trades every day."""
    generator = np.random.default_rng(seed)
    moves = generator.normal(0, volatility / np.sqrt(2), (2 * days, assets))
    path = 100 * np.exp(np.cumsum(moves, axis=0))
    return panel_of(path[1::2], path[0::2])


def messy_panel(days: int, assets: int, seed: int, halts: float, absent: float, changes: bool) -> Panel:
    """Returns a random walk with halts, missing bars, late listings, delistings and assets that leave with a price."""
    generator = np.random.default_rng(seed)
    moves = generator.normal(0, 0.04, (2 * days, assets))
    path = 50 * np.exp(np.cumsum(moves, axis=0))
    open_, close = path[0::2].copy(), path[1::2].copy()
    listed = np.ones(close.shape, bool)
    if changes:
        for n in range(1, assets):
            first, last = np.sort(generator.integers(0, days + 1, 2))
            listed[:first, n] = False
            listed[last:, n] = False
            if generator.random() < 0.7:  # the others keep their prices: they only leave the index
                open_[~listed[:, n], n] = close[~listed[:, n], n] = np.nan
    tradable = listed & (generator.random(close.shape) >= halts)
    missing = generator.random(close.shape) < absent
    open_[missing] = close[missing] = np.nan
    tradable &= ~missing
    return panel_of(close, open_, listed, tradable)


def states_of(panel: Panel, width: int = 4, seed: int = 0, **provenance: object) -> MarketStates:
    """Returns random states of a panel, audited and made for the fill ``next_open`` unless told otherwise.

    Their encoder was fitted before the panel begins, so an agent may learn on any of its days.
    """
    generator = np.random.default_rng(seed)
    days, names, _ = panel.shape
    facts: dict[str, object] = dict.fromkeys(PROVENANCE, "made up")
    facts |= {"audit": "passed", "fill": "next_open", "horizon": 1} | provenance
    return MarketStates(
        dates=panel.dates,
        assets=panel.assets,
        asset=generator.normal(size=(days, names, width)).astype(np.float32),
        market=generator.normal(size=(days, 3)).astype(np.float32),
        forecast_mean=np.zeros((days, names), np.float32),
        forecast_std=np.ones((days, names), np.float32),
        mask=panel.listed.copy(),
        fit_end=panel.dates[0] - np.timedelta64(1, "D"),
        provenance=facts,
    )
