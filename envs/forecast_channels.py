"""Forecasts of an encoder as channels that a policy sees beside the states."""

from dataclasses import dataclass

import numpy as np

from envs.observables import matched_columns, matched_days, padded
from market.arrays import FeatureArray, FloatArray
from market.panel import Panel
from market.scaling.cross_section import cross_sectional_rank, cross_sectional_zscore
from market.states import MarketStates

CHANNELS = ("forecast", "forecast_rank", "forecast_level", "forecast_std")
"""The mean's z-score within its day, its rank, the mean itself, and the log ratio of the std to the day's median."""

AGE = "fit_age"
"""Years since the last day that the encoder learnt from; 0 while it is still learning from later days."""

DAYS_A_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class ForecastChannels:
    """The forecast of every panel day; each row is worked out from that day's forecast alone.

    Attributes:
        asset: ``[T, N, C]`` float32, 0 where nothing is forecast; C is 0 without a forecast.
        age: ``[T, A]`` float32; A is 0 without a forecast.
    """

    asset: FeatureArray
    age: FeatureArray

    @property
    def channels(self) -> tuple[str, ...]:
        """C names."""
        return CHANNELS if self.asset.shape[-1] else ()

    @property
    def market_channels(self) -> tuple[str, ...]:
        """A names."""
        return (AGE,) if self.age.shape[-1] else ()

    def window(self, rows: slice, lookback: int) -> tuple[FeatureArray, FeatureArray]:
        """Returns the channels of the panel's `rows` and of the `lookback` - 1 days before them, zero before day 0."""
        first = rows.start - (lookback - 1)
        asset, age = (padded(array[max(first, 0) : rows.stop], max(-first, 0)) for array in (self.asset, self.age))
        return asset, age


def forecast_channels(panel: Panel, states: MarketStates | None) -> ForecastChannels:
    """Returns the forecast of `states` on the days of `panel`, or channels of no width without states."""
    days, names = panel.shape[:2]
    if states is None:
        return ForecastChannels(np.zeros((days, names, 0), np.float32), np.zeros((days, 0), np.float32))
    rows, theirs = matched_days("states", panel, states.dates)
    columns = matched_columns("states", panel, states.assets)
    known = states.mask[theirs][:, columns]
    mean, std = (
        np.where(known, array[theirs][:, columns], np.nan).astype(np.float64)
        for array in (states.forecast_mean, states.forecast_std)
    )
    asset, age = np.zeros((days, names, len(CHANNELS)), np.float32), np.zeros((days, 1), np.float32)
    ranks = cross_sectional_rank(np.where(np.isfinite(mean), mean, np.nan))
    parts = (cross_sectional_zscore(mean), ranks, mean, log_ratio_to_median(std))
    asset[rows] = np.nan_to_num(np.stack(parts, axis=2), nan=0.0, posinf=0.0, neginf=0.0)
    since = (panel.dates[rows] - _fits(states)[theirs]) / np.timedelta64(1, "D")
    age[rows, 0] = np.maximum(since, 0.0) / DAYS_A_YEAR
    return ForecastChannels(asset, age)


def log_ratio_to_median(std: FloatArray) -> FloatArray:
    """Returns the log of each value over the median of its row; NaN where either is not a positive number."""
    positive = np.where(np.isfinite(std) & (std > 0), std, np.nan)
    ratio = np.full(std.shape, np.nan)
    known = np.isfinite(positive).any(axis=1)
    ratio[known] = np.log(positive[known] / np.nanmedian(positive[known], axis=1, keepdims=True))
    return ratio


def _fits(states: MarketStates) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Returns the last day that was learnt from, one for each day of the states."""
    return np.broadcast_to(np.asarray(states.fit_end), (len(states.dates),))
