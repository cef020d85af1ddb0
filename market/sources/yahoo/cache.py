"""The cache of one Yahoo ticker on disk, and how new days are joined to it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from market.arrays import DateArray, FloatArray
from market.storage.array_file import read_arrays, write_arrays

COLUMNS = ("open", "high", "low", "close", "volume", "adj_close", "dividend", "split")
KIND, VERSION = "yahoo_ticker", 1
OVERLAP = 5
"""Known days that are asked for again, to see whether history was adjusted since.

A correction of Yahoo's that touches only older days is not seen; delete the ticker's file to have it.
"""
TOLERANCE = 1e-5
"""Relative change of a known price beyond which history counts as adjusted; Yahoo's rounding stays below 1e-6."""


@dataclass(frozen=True, eq=False)
class TickerHistory:
    """All bars of one ticker from `start` on.

    Attributes:
        ticker: Yahoo's name.
        timezone: The exchange's, which decides what a day is.
        start: First day asked for; the first bar may be later.
        dates: ``[T] datetime64[D]``.
        values: ``[T, 8]`` in the order of `COLUMNS`, NaN where Yahoo has none.
    """

    ticker: str
    timezone: str
    start: np.datetime64
    dates: DateArray
    values: FloatArray

    def reaches(self, stop: np.datetime64) -> bool:
        """Tells whether no day up to `stop` needs to be asked for; a trailing day without a price does."""
        return bool(self._last_bar() >= stop)

    def overlap_start(self) -> np.datetime64:
        """Returns the day from which an update is asked for: the earliest of the last `OVERLAP` known bars."""
        known = self.dates[self.dates <= self._last_bar()]
        day: np.datetime64 = known[-OVERLAP:][0]
        return day

    def agrees_with(self, update: "TickerHistory") -> bool:
        """Tells whether the days known to both have the same `close` and `adj_close`, so that no history changed.

        A known day that the update lacks is a disagreement; a day that had no price is not compared.
        """
        prices = [COLUMNS.index("close"), COLUMNS.index("adj_close")]
        shared = self.dates >= update.start
        known = np.isfinite(self.values[shared, prices[0]])
        days, old = self.dates[shared][known], self.values[shared][known][:, prices]
        if not len(days) or not np.isin(days, update.dates).all():
            return False
        new = update.values[np.searchsorted(update.dates, days)][:, prices]
        return bool(np.isclose(new, old, rtol=TOLERANCE, atol=0, equal_nan=True).all())

    def extended_by(self, update: "TickerHistory") -> "TickerHistory":
        """Returns this history with everything from the update's first day replaced by the update."""
        kept = self.dates < update.start
        return TickerHistory(
            self.ticker,
            update.timezone,
            self.start,
            np.concatenate([self.dates[kept], update.dates]),
            np.concatenate([self.values[kept], update.values]),
        )

    def to_frame(self, start: np.datetime64, stop: np.datetime64 | None) -> pd.DataFrame:
        """Returns the days from `start` to `stop`, both inclusive, as rows with ``date``, ``symbol`` and `COLUMNS`."""
        last = self.dates[-1] if stop is None else stop
        wanted = (self.dates >= start) & (self.dates <= last)
        frame = pd.DataFrame(self.values[wanted], columns=list(COLUMNS))
        frame.insert(0, "date", self.dates[wanted].astype("datetime64[s]"))
        frame.insert(1, "symbol", self.ticker)
        return frame

    def save(self, path: Path) -> None:
        """Writes the history aside and renames it to `path`."""
        header = {
            "kind": KIND,
            "version": VERSION,
            "ticker": self.ticker,
            "timezone": self.timezone,
            "start": str(self.start),
            "columns": list(COLUMNS),
        }
        write_arrays(path, {"dates": self.dates.astype(np.int64), "values": self.values}, header)

    @staticmethod
    def load(path: Path, ticker: str) -> "TickerHistory | None":
        """Reads the history of `ticker`, or None where there is no file.

        Raises:
            ValueError: The file is damaged, of another version or of another ticker.
        """
        if not path.exists():
            return None
        try:
            arrays, header = read_arrays(path, KIND, VERSION)
        except ValueError as error:
            raise ValueError(f"{error}; delete it to have the ticker fetched again") from None
        if (header.get("ticker"), header.get("columns")) != (ticker, list(COLUMNS)):
            raise ValueError(
                f"{path}: it holds {header.get('ticker')!r} with {header.get('columns')}, expected {ticker!r} with "
                f"{list(COLUMNS)}; delete it to have the ticker fetched again"
            )
        dates = arrays["dates"].astype("datetime64[D]")
        values = np.array(arrays["values"], dtype=np.float64)
        return TickerHistory(ticker, header["timezone"], np.datetime64(header["start"], "D"), dates, values)

    def _last_bar(self) -> np.datetime64:
        traded = np.flatnonzero(np.isfinite(self.values[:, COLUMNS.index("close")]))
        day: np.datetime64 = self.dates[traded[-1]]
        return day
