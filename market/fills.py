"""Fill conventions: at which price a decision taken after the close of day t is carried out.

Labels and environments read the same convention from here, so that a forecast is trained on the return that trading
on it would earn. The table stands in the package's docstring.
"""

from typing import Literal, get_args

import numpy as np

from market.arrays import FloatArray
from market.panel import Panel

Fill = Literal["close", "next_open", "next_close"]
FILLS: tuple[str, ...] = get_args(Fill)


def check_fill(fill: str) -> None:
    """Refuses a fill convention that does not exist, naming those that do."""
    if fill not in FILLS:
        raise ValueError(f"fill is '{fill}', expected one of {', '.join(FILLS)}")


def default_fill(panel: Panel) -> Fill:
    """Returns ``next_open`` where the panel has opens, else ``next_close``."""
    return "next_open" if "open" in panel else "next_close"


def fill_delay(fill: Fill) -> int:
    """Returns how many days after the decision the trade is done: 0 for ``close``, otherwise 1."""
    return 0 if fill == "close" else 1


def fill_prices(panel: Panel, fill: Fill) -> FloatArray:
    """Returns the price at which `fill` trades on each day, ``[T, N]``; NaN where no positive price is known.

    Raises:
        ValueError: The fill needs a field that the panel lacks.
    """
    return _positive(panel, _field(panel, fill))


def marked_prices(panel: Panel, fill: Fill) -> FloatArray:
    """Returns `fill_prices` with the last known price wherever a day has none, ``[T, N]``.

    A halted or delisted asset is worth what it last traded at. At the open of a day the last known price is the latest
    of the opens and closes before it. NaN only before an asset's first price; row ``t`` uses rows ``<= t``.

    Raises:
        ValueError: The fill needs a field that the panel lacks.
    """
    if _field(panel, fill) == "close":
        return _carried_forward(_positive(panel, "close"))
    moments = np.stack([_positive(panel, "open"), _positive(panel, "close")], axis=1)  # [T, 2, N]
    return _carried_forward(moments.reshape(-1, moments.shape[2]))[::2]


def _field(panel: Panel, fill: Fill) -> str:
    check_fill(fill)
    name = "open" if fill == "next_open" else "close"
    if name not in panel:
        remedy = "use fill='next_close'" if name == "open" else "add it"
        raise ValueError(f"panel: fill '{fill}' needs the field '{name}', which it lacks; {remedy}")
    return name


def _positive(panel: Panel, name: str) -> FloatArray:
    prices = panel[name].astype(np.float64)
    prices[~(np.isfinite(prices) & (prices > 0))] = np.nan
    return prices


def _carried_forward(prices: FloatArray) -> FloatArray:
    known = np.isfinite(prices)
    row = np.maximum.accumulate(np.where(known, np.arange(len(prices))[:, None], 0), axis=0)
    return np.take_along_axis(prices, row, axis=0)
