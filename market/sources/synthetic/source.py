"""A synthetic stock market with known factors and a known, predictable component.

Stocks in sectors load on autocorrelated factors of different volatility and carry noise of their own. Around this stand
daily bars, calm and turbulent times, listings, delistings, halts and splits. What can be predicted is planted, so the
best possible forecast, and its RankIC, are known.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray, FloatArray, IntArray
from market.sources.synthetic.signal import Dynamics, SyntheticMarket, check_share, daily_signal, lagged

FACTOR_DECAY = 0.7  # each factor's volatility over that of the one before
SPLIT_RATIOS = (2, 3, 4, 5)
HaltedBars = Literal["absent", "flat"]


@dataclass(frozen=True)
class Events:
    """Late listings, delistings and halts of synthetic stocks. The first stock is spared, so that every day has a bar.

    Attributes:
        listings: Share of stocks that are listed only during the first half.
        delistings: Share of stocks that are delisted during the second half.
        halts: Chance a day that a stock stops trading, for five days on average; its price is carried over.
        splits: Chance a day that a stock is split, 2 to 5 for 1.
        halted_bars: A halted day has no row (``absent``), or one at the last close without volume (``flat``).
        adjusted: Prices are adjusted for splits; otherwise they are as traded, with ``adj_close`` beside them. Volume
            is in shares of today either way, as vendors give it.
    """

    listings: float = 0.1
    delistings: float = 0.05
    halts: float = 0.0005
    splits: float = 0.0003
    halted_bars: HaltedBars = "absent"
    adjusted: bool = True

    def __post_init__(self) -> None:
        for name in ("listings", "delistings", "halts", "splits"):
            check_share(name, getattr(self, name))
        if self.halted_bars not in get_args(HaltedBars):
            raise ValueError(f"synthetic: halted_bars is '{self.halted_bars}', expected 'absent' or 'flat'")


NO_EVENTS = Events(listings=0, delistings=0, halts=0, splits=0)


@dataclass(frozen=True)
class Synthetic:
    """A source of synthetic bars; the same values, seed included, give the same bars.

    Attributes:
        stocks: Number of stocks.
        days: Number of weekdays.
        sectors: Number of sectors; the stocks of one load alike on the factors.
        factors: Number of factors, the market included.
        signal: Standard deviation of the planted return over the typical volatility, about the IC of knowing it.
        seed: Of everything random.
        start: First day.
        dynamics: How prices move.
        events: What happens besides trading.
    """

    stocks: int = 100
    days: int = 2000
    sectors: int = 10
    factors: int = 5
    signal: float = 0.1
    seed: int = 0
    start: str = "2010-01-04"
    dynamics: Dynamics = field(default_factory=Dynamics)
    events: Events = field(default_factory=Events)

    def __post_init__(self) -> None:
        for name in ("stocks", "days", "sectors", "factors"):
            if getattr(self, name) < 1:
                raise ValueError(f"synthetic: {name} is {getattr(self, name)}, expected at least 1")

    @property
    def drift(self) -> float:
        """Daily return that one unit of signal pays."""
        return self.signal * self.dynamics.volatility

    def read(self) -> pd.DataFrame:
        """Returns the long frame of bars."""
        return self.generate().frame

    def generate(self) -> SyntheticMarket:
        """Returns the bars together with the truth behind them."""
        rng = np.random.default_rng(self.seed)
        sectors = np.sort(np.arange(self.stocks) % self.sectors)
        loadings = _loadings(rng, sectors, self.factors)
        turbulent = _regimes(rng, self.days)
        listed, trades = _life(rng, self.days, self.stocks, self.events)
        night, session, factors = _moves(rng, loadings, np.where(turbulent, self.dynamics.turbulence, 1), self.dynamics)
        opened, close, volume, signal = _paths(rng, night, session, listed, trades, self)
        frame = _frame(rng, (opened, close, volume), listed, trades, self)
        return SyntheticMarket(
            frame, factors, loadings, sectors, turbulent, signal, close, listed, self.dynamics, self.drift
        )


def _loadings(rng: np.random.Generator, sectors: IntArray, n_factors: int) -> FloatArray:
    by_sector = rng.normal(0, 1, (int(sectors.max()) + 1, n_factors))
    loadings: FloatArray = by_sector[sectors] + rng.normal(0, 0.3, (len(sectors), n_factors))
    loadings[:, 0] = rng.normal(1, 0.3, len(sectors))
    return loadings


def _regimes(rng: np.random.Generator, days: int) -> BoolArray:
    """Turbulent times come about every 150 days and last about 30."""
    turbulent = np.zeros(days, dtype=np.bool_)
    draws = rng.random(days)
    for t in range(1, days):
        turbulent[t] = draws[t] < (1 - 1 / 30 if turbulent[t - 1] else 1 / 150)
    return turbulent


def _life(rng: np.random.Generator, days: int, stocks: int, events: Events) -> tuple[BoolArray, BoolArray]:
    """Returns where each stock is listed and where it trades."""
    spared = np.arange(stocks) == 0
    late = (rng.random(stocks) < events.listings) & ~spared
    gone = (rng.random(stocks) < events.delistings) & ~spared
    first = np.where(late, rng.integers(0, max(days // 2, 1), stocks), 0)
    last = np.where(gone, rng.integers(days // 2, days, stocks), days - 1)
    day = np.arange(days)[:, None]
    listed = (day >= first) & (day <= last)
    starts = (rng.random((days, stocks)) < events.halts) & ~spared
    lengths = rng.geometric(1 / 5, (days, stocks))
    until = np.maximum.accumulate(np.where(starts, day + lengths, 0), axis=0)
    halted = (day < until) & (day > first) & (day < last)
    return listed, listed & ~halted


def _moves(
    rng: np.random.Generator, loadings: FloatArray, volatility: FloatArray, config: Dynamics
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns log returns ``[T, N]`` of night and session without the planted part, and the factors ``[T, K]``.

    Noise is shifted by half its variance, so that the expected simple return is what it would be without noise.
    """
    days, (stocks, width) = len(volatility), loadings.shape
    own = config.volatility * rng.uniform(0.67, 1.33, stocks)
    sizes = config.factor_volatility * FACTOR_DECAY ** np.arange(width) * np.sqrt(1 - config.autocorrelation**2)
    parts = [rng.normal(0, np.sqrt(share), (days, width)) for share in (config.overnight, 1 - config.overnight)]
    shocks = [part * sizes * volatility[:, None] for part in parts]
    factors = np.zeros((days, width))
    for t in range(days):
        factors[t] = config.autocorrelation * factors[t - 1] + shocks[0][t] + shocks[1][t]
    trend = config.autocorrelation * lagged(factors, 1) @ loadings.T
    trend[0] = 0
    variance = (own**2 + np.square(loadings * sizes).sum(1)) * volatility[:, None] ** 2
    legs = []
    for share, shock in zip((config.overnight, 1 - config.overnight), shocks, strict=True):
        noise = rng.normal(0, np.sqrt(share), (days, stocks)) * own * volatility[:, None]
        legs.append(share * (trend - variance / 2) + shock @ loadings.T + noise)
    return legs[0], legs[1], factors


def _paths(
    rng: np.random.Generator,
    night: FloatArray,
    session: FloatArray,
    listed: BoolArray,
    trades: BoolArray,
    config: Synthetic,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Returns opens, closes, volumes and signals ``[T, N]``: the signal of a day moves the prices of the next two."""
    days, stocks = night.shape
    opened, close, signal = np.zeros(night.shape), np.zeros(night.shape), np.zeros((days + 2, stocks))
    last = np.log(50) + rng.normal(0, 0.5, stocks)
    usual = np.log(1e6) + rng.normal(0, 1, stocks)
    unrest = usual + rng.normal(0, 0.3, night.shape)
    volume = np.zeros(night.shape)
    for t in range(days):
        gap = np.where(trades[t], night[t] + 0.5 * config.drift * signal[t - 2], 0)
        move = np.where(trades[t], session[t] + 0.5 * config.drift * signal[t - 1], 0)
        opened[t], close[t] = last + gap, last + gap + move
        bustle = unrest[t] + 0.3 * np.abs(gap + move) / config.dynamics.volatility
        volume[t] = np.where(trades[t], np.round(np.exp(bustle)), 0)
        fresh = listed[t] & ~listed[t - 1]
        close[:t, fresh] = close[t, fresh]  # what a stock did before its listing is not known
        signal[t] = daily_signal(close[: t + 1], volume[: t + 1], listed[t], config.dynamics)
        last = close[t]
    return np.exp(opened), np.exp(close), volume, signal[:days]


def _frame(
    rng: np.random.Generator, bars: tuple[FloatArray, ...], listed: BoolArray, trades: BoolArray, config: Synthetic
) -> pd.DataFrame:
    opened, close, volume = bars
    days, stocks = close.shape
    reach = rng.exponential(0.3 * config.dynamics.volatility, (2, days, stocks)) * trades  # beyond open and close
    high = np.maximum(opened, close) * np.exp(reach[0])
    low = np.minimum(opened, close) * np.exp(-reach[1])
    split = np.where(rng.random((days, stocks)) < config.events.splits, rng.choice(SPLIT_RATIOS, (days, stocks)), 1)
    later = np.cumprod(split[::-1], axis=0)[::-1] / split  # shares of today for one of that day
    factor = np.ones(close.shape) if config.events.adjusted else later
    dates = np.busday_offset(np.datetime64(config.start, "D"), np.arange(days), roll="forward")
    stock, day = np.nonzero((trades if config.events.halted_bars == "absent" else listed).T)
    columns: dict[str, AnyArray] = {"date": dates[day], "symbol": _names(stocks)[stock]}
    for name, prices in zip(("open", "high", "low", "close"), (opened, high, low, close), strict=True):
        columns[name] = (prices * factor)[day, stock]
    columns["volume"] = volume[day, stock]
    if not config.events.adjusted:
        columns["adj_close"] = close[day, stock]
    return pd.DataFrame(columns)


def _names(stocks: int) -> AnyArray:
    width = len(str(stocks - 1))
    return np.array([f"S{n:0{width}d}" for n in range(stocks)], dtype=object)
