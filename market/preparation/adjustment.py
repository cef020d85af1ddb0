"""Adjustment for splits and dividends, through the adjusted close that vendors give."""

from dataclasses import replace

import numpy as np

from market.arrays import BoolArray
from market.panel import RAW_CLOSE, Panel
from market.preparation.quality.actions import SCALED


def adjusted(panel: Panel) -> Panel:
    """Returns the panel with prices (and ``vwap``) times ``adj_close / close``; ``raw_close`` keeps the quoted close.

    Each day's bar keeps its shape and the close becomes the adjusted close, so that the return from one day to another
    is what a holder who reinvests dividends earns. Volume and all other fields stay as they are given;
    `market.preparation.quality.clean` has counted them in shares of today, and has kept the quoted close already where
    it did.

    Vendors anchor the adjusted close at the last day, so the *level* of old prices knows of later splits and dividends,
    while every ratio of two prices does not. Use ratios, as all features and labels here do.

    Raises:
        ValueError: There is no ``adj_close``, or it is missing or not positive on a day that has a close.
    """
    if "adj_close" not in panel:
        raise ValueError(
            "panel: no field 'adj_close' to adjust by; its prices are used as they are, or are adjusted already"
        )
    close, adj_close = panel["close"], panel["adj_close"]
    traded = np.isfinite(close)
    _refuse(panel, traded & ~(np.isfinite(adj_close) & (adj_close > 0)), "adj_close")
    _refuse(panel, traded & (close <= 0), "close")
    factor = np.divide(adj_close, close, out=np.full(close.shape, np.nan), where=traded)
    values = np.array(panel.values)
    for name in SCALED:
        if name in panel:
            values[:, :, panel.fields.index(name)] *= factor
    values[:, :, panel.fields.index("close")] = np.where(traded, adj_close, np.nan)
    values[:, :, panel.fields.index("adj_close")] = close
    fields = tuple(RAW_CLOSE if name == "adj_close" else name for name in panel.fields)
    if RAW_CLOSE in panel:  # quoted before splits were undone
        kept = [k for k, name in enumerate(panel.fields) if name != "adj_close"]
        values, fields = values[:, :, kept], tuple(panel.fields[k] for k in kept)
    return replace(panel, fields=fields, values=values, source={**panel.source, "adjusted": True})


def _refuse(panel: Panel, wrong: BoolArray, name: str) -> None:
    cells = np.argwhere(wrong)
    if len(cells):
        shown = ", ".join(f"{panel.assets[n]} {panel.dates[t]} ({panel[name][t, n]:g})" for t, n in cells[:4])
        raise ValueError(
            f"panel: {name} must be positive where there is a close, but is not in {len(cells)} cells: {shown}"
            f"{', ...' if len(cells) > 4 else ''}; repair or mask them first (market.preparation.quality)"
        )
