"""Realised labels and the state of the market as features, beside those of another set.

Realised labels
---------------
An encoder that reads past returns must read those that a forecast of today is about, and only once they are known. The
label of day ``d`` needs prices up to ``d + span`` (`market.prices.labels.Label`), so column ``REALISED`` of row ``t``
holds the label of day ``t - span``: the latest that is known after the close of ``t``. For a horizon of one day that is

==============  ========  =====================================
fill            ``span``  ``REALISED[t]``
==============  ========  =====================================
``close``       1         ``close[t] / close[t-1] - 1``
``next_open``   2         ``open[t] / open[t-1] - 1``
``next_close``  2         ``close[t] / close[t-1] - 1``
==============  ========  =====================================

A column that is one row early would hold the label of ``t - span + 1``, which needs a price of tomorrow.

The market
----------
Twenty-one columns for each of three views of the market over the assets listed that day (63, as many as the reference
has of three indices), equal for all assets: today's value, and over each window the mean and deviation of the value and
of an activity, the activity in units of today's.

==========================  ======================================  ===================================
view                        value                                   activity
==========================  ======================================  ===================================
``MARKET_EQUAL``            mean return                             geometric mean of traded value
``MARKET_TURNOVER``         return weighted by traded value         traded value
``MARKET_BREADTH``          rising less falling, as a share         standard deviation of returns
==========================  ======================================  ===================================

Traded value is money (`market.prices.money`): adjusted closes times volumes would shrink with every dividend to come,
and so weigh the assets of a day by what is not known yet. Halted assets count for nothing.

Reference: Kim et al. (2025), FactorVQVAE, Knowledge-Based Systems, whose market features are those of Li et al. (2024),
MASTER, section 4.1. https://arxiv.org/abs/2312.15235
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from market.arrays import FeatureArray, FloatArray
from market.features import FeatureSet, operators
from market.features.alpha158 import Alpha158
from market.features.table import WINDOWS, Feature
from market.panel import Panel
from market.prices.labels import Label
from market.prices.money import traded_money

REALISED = "REALISED"
MARKET = "MARKET"
VIEWS = (f"{MARKET}_EQUAL", f"{MARKET}_TURNOVER", f"{MARKET}_BREADTH")


@dataclass(frozen=True)
class WithRealisedReturns:
    """The features of another set, then ``REALISED``, then the state of the market.

    Row ``t`` uses rows ``<= t`` only. What needs a field that the panel lacks is NaN.

    Attributes:
        base: The other set.
        label: The label whose known values are added; the one that is forecast.
        windows: Days over which the market is described; empty leaves the market out.
    """

    base: FeatureSet = Alpha158()
    label: Label = Label()
    windows: tuple[int, ...] = WINDOWS

    @property
    def n_market(self) -> int:
        """Number of columns of the market."""
        return len(self._market_names())

    def table(self) -> tuple[Feature, ...]:
        """Returns the features of the other set; the columns added here are no formulas of one asset's bars."""
        return self.base.table()

    def compute(self, panel: Panel) -> Panel:
        """Returns all features of `panel`, float32; NaN where unknown or not listed."""
        base = self.base.compute(panel)
        n_base = len(base.fields)
        names = (*base.fields, REALISED, *self._market_names())
        values = np.empty((*panel.shape[:2], len(names)), dtype=np.float32)
        values[..., :n_base] = base.values
        values[..., n_base] = realised(panel, self.label)
        if self.windows:
            for column, described in enumerate(_described(panel, self.windows), start=n_base + 1):
                values[..., column] = np.where(panel.listed, described[:, None], np.nan)
        return replace(base, fields=names, values=values, source={**base.source, "features": type(self).__name__})

    def _market_names(self) -> tuple[str, ...]:
        if not self.windows:
            return ()
        return tuple(name for view in VIEWS for name in (view, *_over_windows(view, self.windows)))


def _over_windows(view: str, windows: tuple[int, ...]) -> Iterator[str]:
    for window in windows:
        yield from (f"{view}_{what}{window}" for what in ("MEAN", "STD", "ACTIVITY", "UNREST"))


def realised(panel: Panel, label: Label) -> FloatArray:
    """Returns the latest label that is known on each day, ``[T, N]``: row ``t`` holds that of day ``t - span``.

    NaN in the first `span` rows, where that label does not exist, and where the asset is not listed on ``t``. Values of
    days on which an asset is not listed are not read.
    """
    hidden = np.where(panel.listed[..., None], panel.values, np.nan)
    known = np.full(panel.shape[:2], np.nan)
    known[label.span :] = label.compute(replace(panel, values=hidden))[: max(len(panel) - label.span, 0)]
    known[~panel.listed] = np.nan
    return known


def _described(panel: Panel, windows: tuple[int, ...]) -> Iterator[FeatureArray]:
    for value, activity in _views(panel):
        yield value.astype(np.float32)
        for window in windows:
            for series, unit in ((value, np.ones_like(value)), (activity, activity)):
                for statistic in (operators.mean, operators.std):
                    with np.errstate(divide="ignore", invalid="ignore"):
                        yield (statistic(series[:, None], window)[:, 0] / unit).astype(np.float32)


def _views(panel: Panel) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yields value and activity of each view of the market, ``[T]`` each; NaN where nothing is known."""
    returns, traded = _returns(panel), traded_money(panel)
    middle = _mean(returns)
    yield middle, np.exp(_mean(np.log(traded)))
    total = np.nansum(traded, axis=1)
    total[total == 0] = np.nan
    held = np.where(np.isfinite(traded * returns), traded, 0.0)
    weight = held.sum(axis=1)
    weight[weight == 0] = np.nan
    yield (held * np.nan_to_num(returns)).sum(axis=1) / weight, total
    signs = np.where(np.isfinite(returns), np.sign(returns), np.nan)
    yield _mean(signs), np.sqrt(_mean((returns - middle[:, None]) ** 2))


def _returns(panel: Panel) -> FloatArray:
    """Returns of traded days since the last traded one, ``[T, N]``; NaN on halted and unlisted days."""
    close = np.where(panel.tradable, panel["close"], np.nan).astype(np.float64)
    close[~(close > 0)] = np.nan
    row = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(len(close))[:, None], 0), axis=0)
    last = np.take_along_axis(close, row, axis=0)
    returns = np.full_like(close, np.nan)
    returns[1:] = close[1:] / last[:-1] - 1
    return returns


def _mean(values: FloatArray) -> FloatArray:
    """Returns the mean over the known values of each day; NaN where there is none."""
    count = np.isfinite(values).sum(axis=1).astype(np.float64)
    count[count == 0] = np.nan
    mean: FloatArray = np.nansum(values, axis=1) / count
    return mean
