"""Yahoo Finance through yfinance: cached per ticker, incremental, resumable."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from market.calendar import parse_day
from market.sources.yahoo.cache import TickerHistory
from market.sources.yahoo.client import TickerMissingError, Yahoo, YahooUnavailableError

_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.^=&-]{0,31}")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_LOG = logging.getLogger(__name__)
Batch = tuple[str, ...]
RETRIES_OFFLINE = 2
"""Retries while nobody has answered anything: more likely there is no network than a passing trouble."""


@dataclass(frozen=True)
class YFinance:
    """Daily bars from Yahoo Finance: prices adjusted for splits, and `adj_close` for dividends too.

    A second run asks only for days that are not in the cache, plus a few known ones; where those show that history
    was adjusted since (a split, a dividend), the ticker is fetched again in full. Bars end yesterday: the day that is
    still running at the exchange is never cached. A run that was stopped goes on where it was.
    """

    tickers: tuple[str, ...]
    """Yahoo's names in capitals, as AAPL, BRK-B, ^GSPC or 0700.HK."""
    start: str
    """First day, YYYY-MM-DD."""
    stop: str | None = None
    """Last day, YYYY-MM-DD, inclusive; None for yesterday."""
    cache: str = "workdir/cache/yfinance"
    """Folder with one file a ticker; ~ is the home."""
    allow_missing: bool = False
    """Leave out tickers that Yahoo has no bars of, instead of failing with their names."""
    batch: int = 8
    """Tickers that are asked for at once."""
    retries: int = 5
    """Further attempts after Yahoo was unreachable, refused (HTTP 429) or answered with nonsense."""
    pause: float = 1.0
    """Seconds before the first retry; each further one waits twice as long, all within half and one and a half."""

    def __post_init__(self) -> None:
        if not self.tickers:
            raise ValueError("yfinance: tickers is empty; name at least one")
        for ticker in self.tickers:
            if not _TICKER.fullmatch(ticker) or _ISIN.fullmatch(ticker):
                raise ValueError(
                    f"yfinance: ticker {ticker!r} is not one of Yahoo's; expected capitals, digits and .-=^&, as BRK-B"
                )
            if self.tickers.count(ticker) > 1:
                raise ValueError(f"yfinance: ticker {ticker!r} stands twice; name it once")
        for label, day in (("start", self.start), ("stop", self.stop)):
            if day is not None and parse_day(day) is None:
                raise ValueError(f"yfinance: {label} is {day!r}, expected a day as 2008-04-01")
        if self._stop is not None and self._stop < self._start:
            raise ValueError(f"yfinance: stop {self.stop} lies before start {self.start}; swap them")
        if self.batch < 1 or self.retries < 0 or self.pause < 0:
            raise ValueError(
                f"yfinance: batch {self.batch}, retries {self.retries} and pause {self.pause} must be at least 1, 0, 0"
            )

    def read(
        self,
        yahoo: Yahoo | None = None,
        sleep: Callable[[float], object] = time.sleep,
        track: Callable[[list[Batch]], Iterable[Batch]] = lambda batches: batches,
    ) -> pd.DataFrame:
        """Brings the cache up to date and returns the long frame, sorted by symbol and date.

        Columns: ``date, symbol, open, high, low, close, volume, adj_close, dividend, split``; NaN where Yahoo has an
        empty bar. Each ticker is written to the cache as soon as it is complete; nothing else changes on disk, and
        nothing at all where Yahoo cannot be reached.

        Args:
            yahoo: Who is asked; None for the real one.
            sleep: Waits between attempts.
            track: Passes the batches on one after the other, so that a progress bar can count them.

        Raises:
            ValueError: Yahoo could not be reached or has no bars of a ticker (all are named), or a cache file is
                damaged.
        """
        missing: dict[str, str] = {}
        batches = [self.tickers[first : first + self.batch] for first in range(0, len(self.tickers), self.batch)]
        with yahoo or Yahoo() as client, ThreadPoolExecutor(self.batch) as pool:
            for batch in track(batches):
                missing |= self._update_batch(batch, client, pool, sleep)
        frames = []
        for ticker in sorted(self.tickers):
            known = TickerHistory.load(self._path(ticker), ticker)
            frame = None if known is None else known.to_frame(self._start, self._stop)
            if frame is not None and frame["close"].notna().any():
                frames.append(frame)
            else:
                missing.setdefault(ticker, f"no bars from {self.start} to {self.stop}")
        self._judge(missing, len(frames))
        return pd.concat(frames, ignore_index=True)

    def _judge(self, missing: dict[str, str], found: int) -> None:
        if not missing:
            return
        told = ", ".join(f"{ticker} ({reason})" for ticker, reason in sorted(missing.items()))
        if not self.allow_missing or not found:
            raise ValueError(
                f"yfinance: no bars of {len(missing)} of {len(self.tickers)} tickers: {told}; correct their names, "
                "leave them out, or allow missing ones (--allow-missing)"
            )
        _LOG.warning("yfinance: left out %d of %d tickers: %s", len(missing), len(self.tickers), told)

    def _update_batch(
        self, batch: Batch, yahoo: Yahoo, pool: Executor, sleep: Callable[[float], object]
    ) -> dict[str, str]:
        """Updates a few tickers at once, again and again those that failed; returns the missing ones with a reason."""
        jitter = random.Random(batch[0])
        missing: dict[str, str] = {}
        pending: dict[str, str] = dict.fromkeys(batch, "")
        for attempt in range(self.retries + 1):
            if attempt:
                wait = self.pause * 2 ** (attempt - 1) * jitter.uniform(0.5, 1.5)
                level = logging.INFO if yahoo.reached else logging.DEBUG  # without a network the error says it all
                _LOG.log(level, "yfinance: waiting %.1f s (%s)", wait, _shown(pending))
                sleep(wait)
            outcomes = {ticker: pool.submit(self._update, ticker, yahoo) for ticker in pending}
            failures = {ticker: outcome.exception() for ticker, outcome in outcomes.items()}
            pending = {}
            for ticker, error in failures.items():
                if isinstance(error, TickerMissingError):
                    missing[ticker] = str(error)
                elif isinstance(error, YahooUnavailableError):
                    pending[ticker] = str(error)
                elif error is not None:
                    raise error
            if not pending:
                return missing
            if not yahoo.reached and attempt >= RETRIES_OFFLINE:
                break
        told = "did not serve" if yahoo.reached else "cannot be reached for"
        raise ValueError(
            f"yfinance: Yahoo {told} {_shown(pending)} after {attempt + 1} attempts; "
            "check the network and run again, what was fetched is kept"
        )

    def _update(self, ticker: str, yahoo: Yahoo) -> None:
        """Brings the cache file of one ticker up to date, with as few days asked for as possible."""
        path = self._path(ticker)
        known = TickerHistory.load(path, ticker)
        if known is None or self._start < known.start:
            yahoo.history(ticker, self._start).save(path)
            return
        complete = yahoo.last_complete_day(known.timezone)
        if known.reaches(complete if self._stop is None else min(self._stop, complete)):
            return
        update = yahoo.history(ticker, known.overlap_start())
        if known.agrees_with(update):
            known.extended_by(update).save(path)
        else:
            _LOG.info("yfinance: %s was adjusted since it was cached; fetching it again", ticker)
            yahoo.history(ticker, known.start).save(path)

    def _path(self, ticker: str) -> Path:
        return Path(self.cache).expanduser() / f"{ticker}.safetensors"

    @property
    def _start(self) -> np.datetime64:
        return np.datetime64(self.start, "D")

    @property
    def _stop(self) -> np.datetime64 | None:
        return None if self.stop is None else np.datetime64(self.stop, "D")


def _shown(pending: dict[str, str]) -> str:
    """Returns the tickers with the reason of the first, at most five of them."""
    first = ", ".join(list(pending)[:5]) + (f" and {len(pending) - 5} more" if len(pending) > 5 else "")
    return f"{first} ({next(iter(pending.values()))})"
