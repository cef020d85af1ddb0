"""A market of planted factors that returns alone can identify, for judging methods that discover factors.

Returns are ``loadings @ factors + noise``: independent standard normal factors, a new draw every day, sparse loadings,
and noise of each stock's own. Factors are found only up to a rotation unless something tells the axes apart. Here the
loadings do: those of any two factors are orthogonal, and each factor moves less than the one before. So the axes are
the principal ones, and a method that misses them cannot blame the data.

Nothing in this market can be forecast; `market.sources.synthetic.source` has one in which something can.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.arrays import DateArray, FloatArray
from market.sources.known_factors import KnownFactors

PRICE = 50.0


@dataclass(frozen=True)
class FactorMarket:
    """A source of closes with planted factors; the same values, seed included, give the same closes.

    The first factor moves every stock. Each other one moves stocks of its own: half of them up, half of them down.

    Attributes:
        stocks: Number of stocks.
        days: Number of weekdays.
        factors: Number of factors, the market included.
        strength: Loading of the market over the deviation of a stock's noise.
        group: The same of the second factor, on the stocks that it moves.
        decay: Strength of each further factor over that of the one before.
        volatility: Typical daily deviation of a stock's noise; single stocks differ by a third or so.
        seed: Of everything random.
        start: First day.
    """

    stocks: int = 50
    days: int = 2520
    factors: int = 5
    strength: float = 1.0
    group: float = 2.0
    decay: float = 0.7
    volatility: float = 0.01
    seed: int = 0
    start: str = "2010-01-04"

    def __post_init__(self) -> None:
        if self.factors < 1 or self.stocks < 2 * (self.factors - 1) or self.stocks < 1:
            raise ValueError(
                f"factor market: {self.factors} factors of {self.stocks} stocks, expected at least one factor, and "
                "two stocks for each after the first"
            )
        if self.days < 3:
            raise ValueError(f"factor market: days is {self.days}, expected at least 3")
        for name in ("strength", "group", "decay", "volatility"):
            if not getattr(self, name) > 0:
                raise ValueError(f"factor market: {name} is {getattr(self, name)}, expected more than 0")

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the stocks."""
        width = len(str(self.stocks - 1))
        return tuple(f"S{n:0{width}d}" for n in range(self.stocks))

    def read(self) -> pd.DataFrame:
        """Returns the long frame ``date, symbol, close``, sorted by symbol and date."""
        dates, returns, _ = self._simulated()
        close = PRICE * np.vstack([np.ones(self.stocks), np.cumprod(1 + returns, axis=0)])
        days = len(dates)
        return pd.DataFrame(
            {
                "date": np.tile(dates, self.stocks),
                "symbol": np.repeat(np.array(self.assets, dtype=object), days),
                "close": close.T.ravel(),
            }
        )

    def truth(self) -> KnownFactors:
        """Returns the planted factors, of unit variance, and the loadings; the first day has a price and no return."""
        dates, _, (factors, loadings) = self._simulated()
        names = ("market", *(f"style {k}" for k in range(1, self.factors)))
        correlations = loadings / np.sqrt(1 + np.square(loadings).sum(axis=1, keepdims=True))
        return KnownFactors(dates[1:], names, factors, self.assets, correlations)

    def _simulated(self) -> tuple[DateArray, FloatArray, tuple[FloatArray, FloatArray]]:
        """Days, returns, and factors with loadings in units of a stock's noise."""
        rng = np.random.default_rng(self.seed)
        loadings = self._loadings()
        own = self.volatility * rng.uniform(0.67, 1.33, self.stocks)
        factors = rng.normal(size=(self.days - 1, self.factors))
        noise = rng.normal(size=(self.days - 1, self.stocks))
        returns = own * (factors @ loadings.T + noise)
        dates = np.busday_offset(np.datetime64(self.start, "D"), np.arange(self.days), roll="forward")
        return dates, np.maximum(returns, -0.5), (factors, loadings)

    def _loadings(self) -> FloatArray:
        loadings = np.zeros((self.stocks, self.factors))
        loadings[:, 0] = self.strength
        size = self.stocks // max(self.factors - 1, 1) // 2
        for k in range(1, self.factors):
            first = (k - 1) * 2 * size
            strength = self.group * self.decay ** (k - 1)
            loadings[first : first + size, k] = strength
            loadings[first + size : first + 2 * size, k] = -strength
        return loadings
