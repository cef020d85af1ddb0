"""Listings: one ticker may name several series that have nothing to do with each other."""

from dataclasses import replace

import numpy as np

from market.arrays import IntArray
from market.panel import Panel

LISTINGS = "listings"
"""Key of `Panel.source` under which the ticker of every earlier listing is kept."""


def listing_name(panel: Panel, asset: int, cut: int) -> str:
    """Returns the name of the listing that a cut at row `cut` ends: ticker and last day, as ``KO~2016-11-09``."""
    bars = np.flatnonzero(np.isfinite(panel["close"][:cut, asset]))
    return f"{panel.assets[asset]}~{panel.dates[bars[-1] if len(bars) else max(cut - 1, 0)]}"


def ticker_of(panel: Panel, asset: str) -> str:
    """Returns the ticker under which a vendor or an index knows an asset of the panel."""
    names = panel.source.get(LISTINGS, {})
    return str(names.get(asset, asset))


def split_listings(panel: Panel, cuts: list[tuple[int, int]]) -> tuple[Panel, IntArray]:
    """Returns the panel with assets cut into several at the (row, column) pairs, and the column each one comes from.

    The last listing keeps the ticker, as exchanges do; earlier ones are called by their last day, too. Every value of a
    row belongs to one listing and is missing in the others. Listed and tradable days are divided alike, so that an
    account that holds an earlier listing is paid out at its last price.
    """
    if not cuts:
        return panel, np.arange(len(panel.assets))
    names, sources = list(panel.assets), list(range(len(panel.assets)))
    starts, stops = [0] * len(names), [len(panel)] * len(names)
    for day, asset in sorted(set(cuts)):  # each cut takes what lies before it from the listing that goes on
        names.append(listing_name(panel, asset, day))
        sources.append(asset)
        starts.append(starts[asset])
        stops.append(day)
        starts[asset] = day
    order = sorted(range(len(names)), key=names.__getitem__)
    days, columns = np.arange(len(panel))[:, None], np.array(sources)[order]
    own = (days >= np.array(starts)[order]) & (days < np.array(stops)[order])  # [T, N + K]
    values = panel.values[:, columns]
    values[~own] = np.nan
    earlier = {names[n]: panel.assets[sources[n]] for n in range(len(panel.assets), len(names))}
    parts = replace(
        panel,
        assets=tuple(names[n] for n in order),
        values=values,
        listed=panel.listed[:, columns] & own,
        tradable=panel.tradable[:, columns] & own,
        source={**panel.source, LISTINGS: {**panel.source.get(LISTINGS, {}), **earlier}},
    )
    return parts, columns
