"""Fills and marks: at which price a decision of day t is carried out, and what a position is worth.

Labels, environments, histories and summaries read these rules from here and from nowhere else, so that a forecast is
trained on the return that trading on it would earn. The table of fills stands in the package's docstring.
"""

from typing import Literal, get_args

import numpy as np

from market.arrays import AnyFloatArray, FloatArray
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
    """Returns the price at which `fill` trades on each day, ``[T, N]``; NaN where there is no trade.

    There is none on a halted day (listed, not tradable), whatever is quoted, nor where no positive price is known. A
    price after the end of a listing (an index membership, say) is one at which a holder can still sell.

    Raises:
        ValueError: The fill needs a field that the panel lacks.
    """
    return _executable(panel, _field(panel, fill))


def marked_prices(panel: Panel, fill: Fill) -> FloatArray:
    """Returns what an asset is worth at the moment that `fill` trades, ``[T, N]``: its last price with a trade.

    A halted or delisted asset is worth what it last traded at. At the open of a day the last trade is the latest of
    the opens and closes before it. NaN only before an asset's first price; row ``t`` uses rows ``<= t``.

    Raises:
        ValueError: The fill needs a field that the panel lacks.
    """
    if _field(panel, fill) == "close":
        return carried_forward(_executable(panel, "close"))
    moments = np.stack([_executable(panel, "open"), _executable(panel, "close")], axis=1)  # [T, 2, N]
    return carried_forward(moments.reshape(-1, moments.shape[2]))[::2]


def simple_returns(panel: Panel) -> FloatArray:
    """Returns the return from one close to the next, ``[T, N]``, marked as an account marks; NaN in the first row."""
    marks = marked_prices(panel, "close")
    returns = np.full(marks.shape, np.nan)
    returns[1:] = marks[1:] / marks[:-1] - 1
    return returns


def carried_forward(values: AnyFloatArray) -> FloatArray:
    """Returns the last known value of each column of ``[T, N]``; NaN before the first."""
    known = np.isfinite(values)
    row = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(np.where(known, values, np.nan), row, axis=0).astype(np.float64, copy=False)


def _field(panel: Panel, fill: Fill) -> str:
    check_fill(fill)
    name = "open" if fill == "next_open" else "close"
    if name not in panel:
        remedy = "use fill='next_close'" if name == "open" else "add it"
        raise ValueError(f"panel: fill '{fill}' needs the field '{name}', which it lacks; {remedy}")
    return name


def _executable(panel: Panel, name: str) -> FloatArray:
    prices = panel[name].astype(np.float64)
    prices[~(np.isfinite(prices) & (prices > 0)) | (panel.listed & ~panel.tradable)] = np.nan
    return prices
