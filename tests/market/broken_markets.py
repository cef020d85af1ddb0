"""Markets with everything that breaks a price level, and the truth behind them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.arrays import FloatArray

RATIOS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 0.5, 1 / 3, 0.2, 0.1)


@dataclass(frozen=True)
class BrokenMarket:
    """Quoted bars, and the true daily returns behind them.

    Attributes:
        frame: Long frame of quoted bars, without a column of splits.
        returns: ``[T, N]`` true simple returns, of the company that the ticker names on that day; NaN on the first day
            and where another company takes over.
        splits: ``[T, N]`` new shares for one old share, 1 on other days.
        crashes: ``[T, N]``, true where the price truly fell by 30 % and more.
        glitches: ``[T, N]``, true where the quoted bar is an error.
    """

    frame: pd.DataFrame
    returns: FloatArray
    splits: FloatArray
    crashes: FloatArray
    glitches: FloatArray


def broken_market(seed: int, assets: int = 60, days: int = 260, crash_rate: float = 0.004) -> BrokenMarket:
    """Draws GARCH returns with jumps to -70 %, splits, lone glitches and tickers that are taken over."""
    rng = np.random.default_rng(seed)
    names = np.array([f"S{n:03d}" for n in range(assets)], dtype=object)
    dates = np.busday_offset("2015-01-05", np.arange(days), roll="forward")
    crashes = rng.random((days, assets)) < crash_rate
    crashes[:25] = False
    volatility, moves = _garch(rng, days, assets, crashes)
    jumps = np.log(1 - rng.uniform(0.3, 0.7, (days, assets)))
    overnight = np.where(crashes, jumps * rng.uniform(0.4, 0.9, moves.shape), moves * rng.uniform(0, 1, moves.shape))
    whole = np.where(crashes, jumps, moves)
    returns = np.exp(whole) - 1
    close = rng.uniform(50, 500, assets) * np.exp(np.cumsum(whole, axis=0))
    before = np.concatenate([close[:1], close[:-1]])
    opened = before * np.exp(np.where(crashes, overnight, np.clip(overnight, -0.1, 0.1)))
    reach = np.abs(rng.normal(0, 0.4 * volatility, (2, days, assets))) * np.where(crashes, 4, 1)
    high, low = np.maximum(opened, close) * np.exp(reach[0]), np.minimum(opened, close) * np.exp(-reach[1])
    volume = np.exp(rng.normal(13, 0.35, (days, assets)))
    volume *= np.where(crashes, np.exp(rng.normal(2.2, 0.5, crashes.shape)), 1)
    splits = _splits(rng, crashes)
    glitches = _glitches(rng, crashes | (splits != 1))
    later = np.cumprod(splits[::-1], axis=0)[::-1] / splits
    level = later * np.where(glitches, rng.choice([0.01, 0.1, 10.0, 100.0], crashes.shape), 1)
    taken = rng.random(assets) < 0.15  # another company under the same ticker
    day = np.arange(days)[:, None]
    factor = rng.uniform(6, 25, assets) ** rng.choice([-1, 1], assets)
    level = level * np.where(taken & (day >= days // 2), factor, 1)
    volume = volume * np.where(taken & (day >= days // 2), np.exp(rng.normal(0, 1, assets)), 1)
    returns[0] = np.nan
    returns[days // 2, taken] = np.nan
    bars = {"open": opened * level, "high": high * level, "low": low * level, "close": close * level}
    bars["volume"] = volume / later
    asset, row = np.nonzero(np.ones((assets, days), bool))
    frame = pd.DataFrame({"date": dates[row], "symbol": names[asset], **{k: v[row, asset] for k, v in bars.items()}})
    return BrokenMarket(frame, returns, splits, crashes, glitches)


def _garch(rng: np.random.Generator, days: int, assets: int, crashes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the daily volatility and the moves; a crash leaves a wild time behind it."""
    usual = rng.uniform(0.008, 0.025, assets) ** 2
    variance, moves = np.empty((days, assets)), np.empty((days, assets))
    now = usual.copy()
    for t in range(days):
        variance[t] = now
        moves[t] = np.sqrt(now) * rng.standard_t(6, assets) / np.sqrt(1.5)
        shock = np.where(crashes[t], 16 * usual, np.minimum(moves[t] ** 2, 9 * now))
        now = 0.05 * usual + 0.07 * shock + 0.88 * now
    return np.sqrt(variance), moves


def _splits(rng: np.random.Generator, taken: FloatArray) -> FloatArray:
    splits = np.ones(taken.shape)
    days, assets = taken.shape
    for n in np.flatnonzero(rng.random(assets) < 0.6):
        day = int(rng.integers(30, days - 10))
        if not taken[day - 6 : day + 6, n].any() and abs(day - days // 2) > 6:
            splits[day, n] = rng.choice(RATIOS)
    return splits


def _glitches(rng: np.random.Generator, taken: FloatArray) -> FloatArray:
    glitches = np.zeros(taken.shape, np.bool_)
    days, assets = taken.shape
    for n in np.flatnonzero(rng.random(assets) < 0.3):
        day = int(rng.integers(30, days - 10))
        if not taken[max(0, day - 8) : day + 8, n].any() and abs(day - days // 2) > 8:
            glitches[day : day + int(rng.integers(1, 4)), n] = True
    return glitches
