"""A panel that is prepared again with newer days, in the units of the one before.

Vendors restate the past: with each dividend the whole history of adjusted closes moves by a factor, and with each split
prices and volumes do. No return changes by that, but no value stays what it was, and encoders, states and ledgers know
a panel by its values. So an asset whose history moved by one factor is divided by it, and known days keep their values
to the bit. Quotes (``raw_close``, ``raw_volume``) have no such factor.
"""

from dataclasses import replace

import numpy as np

from market.arrays import AnyFloatArray, FloatArray
from market.panel import Panel
from market.preparation.quality.actions import SCALED

APART = 5e-4
"""How far a restated price may be from the factor of its asset: vendors round adjusted closes to the cent."""
SHARES = ("volume",)


def continued(panel: Panel, before: Panel) -> tuple[Panel, dict[str, float]]:
    """Returns a panel in the units of an earlier one, and the factors by which prices had moved since, by asset.

    Where more than a factor has changed (assets, fields, masks, or a single price of a day that both have by more than
    `APART`), the panel is returned as it is, without factors.

    Args:
        panel: Newly prepared, with the days of `before` and usually some more.
        before: The panel that was there.
    """
    known = len(before)
    alike = panel.assets == before.assets and panel.fields == before.fields and len(panel) >= known
    if not alike or not all(
        np.array_equal(getattr(panel, name)[:known], getattr(before, name)) for name in ("dates", "listed", "tradable")
    ):
        return panel, {}
    factors = _factors(panel, before)
    if factors is None:
        return panel, {}
    values = (panel.values / factors).astype(panel.values.dtype)
    values[:known] = before.values
    prices = factors[:, panel.fields.index("close")]
    moved = {name: float(factor) for name, factor in zip(panel.assets, prices, strict=True) if abs(factor - 1) > 1e-6}
    return replace(panel, values=values), moved


def _factors(panel: Panel, before: Panel) -> FloatArray | None:
    """Returns by what each asset's fields have moved, ``[N, F]``; None where they have moved by more than a factor."""
    known = len(before)
    factors = np.ones(panel.values.shape[1:])
    groups = [[name for name in group if name in panel] for group in (SCALED, SHARES)]
    for group in groups:
        columns = [panel.fields.index(name) for name in group]
        factors[:, columns] = _factor(panel.values[:known][..., columns], before.values[..., columns])[:, None]
    apart = np.abs(panel.values[:known] / factors - before.values) > APART * np.abs(before.values)
    unlike = np.isfinite(panel.values[:known]) != np.isfinite(before.values)
    return None if (apart | unlike).any() else factors


def _factor(now: AnyFloatArray, then: AnyFloatArray) -> FloatArray:
    """Returns the median of ``now / then`` by asset, ``[N]``; 1 where nothing moved, or nothing is known."""
    ratio = np.divide(now, then, out=np.full(now.shape, np.nan), where=np.isfinite(then) & (then != 0))
    found = np.ones(now.shape[1])
    for asset in range(now.shape[1]):
        finite = ratio[:, asset][np.isfinite(ratio[:, asset])]
        if len(finite) and (finite != 1).any():
            found[asset] = np.median(finite)
    return found
