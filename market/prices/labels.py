"""Labels: the return that a decision taken after the close of day t would earn, for a fill and a horizon.

A label looks ahead by definition. It is an input of training losses and of evaluation, never of an encoder.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from market.arrays import BoolArray, FloatArray, IntArray
from market.panel import Panel
from market.prices.fills import Fill, check_fill, fill_delay, fill_prices, marked_prices
from market.scaling.cross_section import average_ranks, cross_sectional_rank, cross_sectional_zscore, quantile_classes

__all__ = ["Label", "Transform", "cross_sectional_rank", "cross_sectional_zscore", "quantile_classes"]

Transform = Literal["rank", "zscore"]


@dataclass(frozen=True)
class Label:
    """A forward return: what to earn (`fill`, `horizon`) and how to present it to a loss (`transform`).

    Prices are expected split- and dividend-adjusted (`market.preparation.adjustment.adjusted`); an ``adj_close`` field
    is not read.

    Attributes:
        fill: When the decision of day ``t`` is traded; ``next_open`` needs opens.
        horizon: Days that the position is held.
        transform: None for the simple return; ``rank`` or ``zscore`` for its place in the day's cross-section.
        horizons: Holding periods in days whose transformed returns are averaged to what a loss sees; empty for
            `horizon` alone. Forecasts are evaluated on the return over `horizon` whatever a loss sees.
        trim: Share of a day's labels, the most extreme ones at both ends, that a loss does not see.
    """

    fill: Fill = "next_open"
    horizon: int = 1
    transform: Transform | None = None
    horizons: tuple[int, ...] = ()
    trim: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizons", tuple(self.horizons))  # what a file of JSON gives is a list
        check_fill(self.fill)
        if self.horizon < 1:
            raise ValueError(f"label: horizon is {self.horizon} days, expected at least 1")
        if self.transform not in (None, *get_args(Transform)):
            raise ValueError(f"label: transform is '{self.transform}', expected None, 'rank' or 'zscore'")
        if any(days < 1 for days in self.horizons) or len(set(self.horizons)) != len(self.horizons):
            raise ValueError(f"label: horizons are {self.horizons}, expected different numbers of days from 1")
        if self.horizons and self.transform is None:
            raise ValueError(
                f"label: returns over {self.horizons} days cannot be averaged as they are; set transform to 'rank'"
            )
        if not 0 <= self.trim < 1:
            raise ValueError(f"label: trim is {self.trim}, expected a share in [0, 1)")

    @property
    def plain(self) -> "Label":
        """The plain return that forecasts are evaluated on, whatever a loss sees of it."""
        return Label(self.fill, self.horizon)

    @property
    def delay(self) -> int:
        """Days between decision and trade: 0 for ``close``, otherwise 1."""
        return fill_delay(self.fill)

    @property
    def span(self) -> int:
        """Days after ``t`` that the label of ``t`` needs; parts of a split lie at least this far apart."""
        return max(self.horizon, *self.horizons) + self.delay if self.horizons else self.horizon + self.delay

    def compute(self, panel: Panel) -> FloatArray:
        """Returns the labels ``[T, N]``; row ``t`` uses the prices of days ``t`` to ``t + span`` and no others.

        A label is what an account earns that buys at the fill and holds: it equals the legs of `envs.Tape` over the
        same days (tested). NaN where there is no label: in the last `span` rows, where the asset is not listed at
        ``t``, and where it cannot be bought because it is not tradable, or has no positive price, on the day of the
        trade. A position over a day without a trade (a halt) is marked at the last price with one. A position whose
        listing ends is sold at that day's fill price, or paid out at the last price where there is none.

        Raises:
            ValueError: The panel lacks the price that the fill trades at.
        """
        if self.horizons or self.trim:
            return self._combined(panel)
        entry = fill_prices(panel, self.fill)
        entry[~panel.tradable] = np.nan
        mark = marked_prices(panel, self.fill)
        label = np.full(entry.shape, np.nan)
        known = max(len(panel) - self.span, 0)
        final = np.arange(self.span, len(panel))[:, None]
        final = np.minimum(final, _end_of_listing(panel.listed)[self.delay :][:known])
        label[:known] = np.take_along_axis(mark, final, axis=0) / entry[self.delay :][:known] - 1
        label[~panel.listed] = np.nan
        if self.transform == "rank":
            return cross_sectional_rank(label).astype(np.float64, copy=False)
        if self.transform == "zscore":
            return cross_sectional_zscore(label).astype(np.float64, copy=False)
        return label

    def _combined(self, panel: Panel) -> FloatArray:
        """Returns the mean of the labels of all horizons, NaN where one is unknown and where it is trimmed."""
        each = [replace(self, horizon=days, horizons=(), trim=0.0) for days in self.horizons or (self.horizon,)]
        label: FloatArray = np.mean([one.compute(panel) for one in each], axis=0)
        if self.trim:
            rank, count = average_ranks(label)
            label[np.abs(2 * rank - 1 - count) >= (1 - self.trim) * count] = np.nan
        return label


def _end_of_listing(listed: BoolArray) -> IntArray:
    """Returns the first day from t on that an asset is not listed, ``[T, N]``; the number of days where there is none.

    The first such day decides, even if the asset is listed again later: the account has been paid by then.
    """
    days = np.where(listed, len(listed), np.arange(len(listed))[:, None])
    return np.minimum.accumulate(days[::-1], axis=0)[::-1]
