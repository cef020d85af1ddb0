"""Real prices that need no network: 20 stocks of the S&P 500 and the index, shipped inside skfolio.

Daily closes, adjusted for splits and dividends, from 1990-01-02 to 2022-12-28, gathered from Yahoo Finance by the
authors of skfolio and distributed with it (BSD-3-Clause, `skfolio.datasets.load_sp500_dataset`). The 20 companies were
picked in hindsight, from those that survived, so results on them flatter every strategy.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Bundled:
    """The source of the bundled closes: 20 stocks, 8,313 days, no missing value, and no other field than ``close``.

    Prices are rounded to a tenth of a cent, so the smallest (AAPL at 0.098 before all its splits) move in steps of up
    to a percent.
    """

    def read(self) -> pd.DataFrame:
        """Returns the long frame ``date, symbol, close``, sorted by symbol and date."""
        from skfolio.datasets import load_sp500_dataset  # takes a second, which only its users should pay

        wide = load_sp500_dataset()
        long = wide.rename_axis(index="date", columns="symbol").stack().rename("close").reset_index()
        frame: pd.DataFrame = long.sort_values(["symbol", "date"], ignore_index=True)[["date", "symbol", "close"]]
        return frame

    @staticmethod
    def index() -> "pd.Series[Any]":
        """Returns the daily closes of the S&P 500 (without dividends) on the same days, as a benchmark."""
        from skfolio.datasets import load_sp500_index

        closes: pd.Series[Any] = load_sp500_index()["SP500"].rename_axis("date")
        return closes
