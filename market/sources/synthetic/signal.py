"""The predictable part of a synthetic market, and the best forecast of it.

After the close of day ``t`` every stock has a signal ``s[t]``: it is high after a poor week (short-term reversal,
Jegadeesh 1990) and after unusual volume (the high-volume return premium, Gervais, Kaniel and Mingelgrin 2001), both
compared across the stocks of the day, both computed from bars up to ``t`` only. `Dynamics.turn_days` lets what these
two say drift, as signals do. The signal is paid from the open of day ``t + 1`` to the open of day ``t + 2``, half of it
in the session and half over the night that follows. So the label ``next_open`` with horizon 1 carries all of it, and
the other fills carry:

==============  =============================================================
label, h = 1    planted return, in units of ``signal * typical volatility``
==============  =============================================================
``close``       ``s[t - 1] / 2 + s[t] / 2``
``next_open``   ``s[t]``
``next_close``  ``s[t] / 2 + s[t + 1] / 2``, of which ``s[t + 1]`` is only partly known at ``t``
==============  =============================================================

A factor that moves today moves on by `Dynamics.autocorrelation` of it tomorrow. That is predictable, too, and part of
the oracle, which knows the factors; an encoder sees them through the cross-section.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.arrays import BoolArray, FloatArray, IntArray
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.cross_section import cross_sectional_rank, cross_sectional_zscore

VOLUME_WINDOW = 20  # days that make the usual volume


@dataclass(frozen=True)
class Dynamics:
    """How prices move.

    Attributes:
        volatility: Typical daily volatility of a stock's own noise; single stocks differ by a third or so.
        factor_volatility: Daily volatility of the first factor, the market; each next factor has 0.7 of it.
        autocorrelation: Of a factor's return from one day to the next.
        overnight: Share of the day's variance that falls between close and open.
        turbulence: Volatility in turbulent times over that in calm ones.
        lookback: Days of past return that the signal reverses.
        volume_share: Share of the signal's variance that comes from volume; on the first day where it turns.
        turn_days: Days in which the signal's weights of the poor week and of volume turn full circle: after a quarter
            of it each says what the other did, after a half both say the opposite. An encoder that was fitted once
            goes stale. 0 keeps the weights.
    """

    volatility: float = 0.015
    factor_volatility: float = 0.008
    autocorrelation: float = 0.1
    overnight: float = 0.3
    turbulence: float = 2.0
    lookback: int = 5
    volume_share: float = 0.3
    turn_days: int = 0

    def __post_init__(self) -> None:
        if not abs(self.autocorrelation) < 1:
            raise ValueError(f"synthetic: autocorrelation is {self.autocorrelation}, expected between -1 and 1")
        for name in ("overnight", "volume_share"):
            check_share(name, getattr(self, name))
        for name in ("volatility", "factor_volatility", "turbulence", "lookback"):
            if not getattr(self, name) > 0:
                raise ValueError(f"synthetic: {name} is {getattr(self, name)}, expected more than 0")
        if self.turn_days < 0:
            raise ValueError(f"synthetic: turn_days is {self.turn_days}, expected days, or 0 where it never turns")

    def weights(self, day: IntArray | int) -> tuple[FloatArray, FloatArray]:
        """Returns the signal's weights of a poor week and of volume on some days; their squares sum to 1."""
        still = np.ones(np.shape(day))
        week, volume = np.sqrt(1 - self.volume_share), np.sqrt(self.volume_share)
        if not self.turn_days:
            return week * still, volume * still
        angle = 2 * np.pi * np.asarray(day) / self.turn_days
        return week * np.cos(angle) - volume * np.sin(angle), volume * np.cos(angle) + week * np.sin(angle)


@dataclass(frozen=True, eq=False)
class SyntheticMarket:
    """A generated market and the truth behind it.

    Attributes:
        frame: Long frame of bars: ``date, symbol, open, high, low, close, volume[, adj_close]``.
        factors: ``[T, K]`` true factor returns, close to close.
        loadings: ``[N, K]`` true loadings; the first factor is the market.
        sectors: ``[N]`` sector of each stock.
        turbulent: ``[T]``, true in turbulent times.
        signal: ``[T, N]``, the planted signal of each day, 0 where not listed.
        close: ``[T, N]`` split-adjusted closes; unmoved while a stock does not trade, its first before its listing.
        listed: ``[T, N]``, true from a stock's listing to its delisting.
        dynamics: How prices were made to move.
        drift: Daily return that one unit of signal pays.
    """

    frame: pd.DataFrame
    factors: FloatArray
    loadings: FloatArray
    sectors: IntArray
    turbulent: BoolArray
    signal: FloatArray
    close: FloatArray
    listed: BoolArray
    dynamics: Dynamics
    drift: float

    @property
    def panel(self) -> Panel:
        """The frame as a panel, T days by N stocks."""
        return Panel.from_frame(self.frame)

    def oracle(self, label: Label) -> FloatArray:
        """Returns the expectation of `label` at ``t`` given everything up to ``t``, ``[T, N]``; NaN where not listed.

        Exact, but for the chance of a halt, for ``close`` and ``next_open`` with horizon 1. Beyond that volume and
        volatility to come are taken to be usual, which loses little.
        """
        expected = np.zeros(self.close.shape)
        for day, (night, session) in enumerate(self._expected_legs(label.span), start=1):
            if label.fill == "close" or day > 1:
                expected += night
            if {"close": True, "next_open": day < label.span, "next_close": day > 1}[label.fill]:
                expected += session
        return np.where(self.listed, np.expm1(expected), np.nan)

    def oracle_rank_ic(self, label: Label) -> float:
        """Returns the mean daily rank correlation of the oracle with the realised label; NaN if it never varies."""
        realised = label.compute(self.panel)
        expected = np.where(np.isfinite(realised), self.oracle(label), np.nan)
        known = np.where(np.isfinite(expected), realised, np.nan)
        left, right = (cross_sectional_zscore(cross_sectional_rank(values)) for values in (expected, known))
        varies = np.nansum(left * right, axis=1) != 0
        return float(np.nanmean((left * right)[varies], axis=1).mean()) if varies.any() else float("nan")

    def _expected_legs(self, days: int) -> list[tuple[FloatArray, FloatArray]]:
        """Returns the expected return of the night and of the session of each of the `days` after ``t``, ``[T, N]``."""
        config = self.dynamics
        signals = [lagged(self.signal, 1), self.signal]  # of t - 1, t, and from here on expected
        legs: list[tuple[FloatArray, FloatArray]] = []
        for day in range(1, days + 1):
            trend = config.autocorrelation**day * self.factors @ self.loadings.T
            night, session = (0.5 * self.drift * signal for signal in signals[-2:])
            legs.append((night + config.overnight * trend, session + (1 - config.overnight) * trend))
            signals.append(self._expected_signal([night + session for night, session in legs]))
        return legs

    def _expected_signal(self, moves: list[FloatArray]) -> FloatArray:
        """Returns the expected signal after the expected `moves` of the days since ``t``, ``[T, N]``."""
        config, ahead = self.dynamics, len(moves)
        logs = np.log(self.close)
        week = logs - lagged(logs, config.lookback)
        ahead_week = logs - lagged(logs, max(config.lookback - ahead, 0)) + sum(moves[-config.lookback :])
        week, ahead_week = (np.where(self.listed, values, np.nan) for values in (week, ahead_week))
        deviation = ahead_week - np.nanmean(ahead_week, axis=1, keepdims=True)
        spread = np.maximum(np.nanstd(week, axis=1, keepdims=True), config.volatility)  # the first week has less
        share = config.weights(np.arange(len(logs)) + ahead)[0][:, None]
        expected: FloatArray = -share * deviation / spread
        return np.nan_to_num(expected)


def daily_signal(close: FloatArray, volume: FloatArray, listed: BoolArray, config: Dynamics) -> FloatArray:
    """Returns the signal of the last row of log `close` and `volume` since day 0; 0 where a stock is not listed."""
    week = close[-1] - close[max(len(close) - 1 - config.lookback, 0)]
    recent = volume[-VOLUME_WINDOW:]
    mean = recent.sum(0) / np.maximum((recent > 0).sum(0), 1)
    surprise = np.log(np.where(volume[-1] > 0, volume[-1] / np.maximum(mean, 1), 1))
    scores = [cross_sectional_zscore(np.where(listed, x, np.nan)) for x in (-week, surprise)]
    by_week, by_volume = config.weights(len(close) - 1)
    signal: FloatArray = by_week * scores[0] + by_volume * scores[1]
    return np.nan_to_num(signal)


def lagged(values: FloatArray, days: int) -> FloatArray:
    """Returns the rows of `days` days before; the first row stands in for what lies before it."""
    return values[np.maximum(np.arange(len(values)) - days, 0)]


def check_share(name: str, share: float) -> None:
    """Refuses a share or a chance outside 0 to 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"synthetic: {name} is {share}, expected between 0 and 1")
