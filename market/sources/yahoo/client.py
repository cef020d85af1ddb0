"""Yahoo's daily bars of one ticker, asked for through yfinance; with one error per failure.

yfinance answers a dead network, a server error and an unknown ticker alike: with no bars. Here the first two are
`YahooUnavailableError`, worth another attempt, and only Yahoo's own word makes a `TickerMissingError`.
"""

import atexit
import functools
import logging
import shutil
import tempfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import yfinance
from curl_cffi.requests import Response, Session
from peewee import PeeweeException
from yfinance.cache import get_cookie_cache, get_tz_cache
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

from market.sources.yahoo.cache import COLUMNS, TickerHistory

TIMEOUT = (5.0, 20.0)
"""Seconds that Yahoo may take to accept a connection, and to answer."""

_ANSWERED = (200, 400, 404)  # statuses with which Yahoo speaks about the ticker, not about itself
_NAMES = ("Open", "High", "Low", "Close", "Volume", "Adj Close", "Dividends", "Stock Splits")  # in COLUMNS' order

_TRIPS = (YFTickerMissingError, OSError, ValueError, LookupError, TypeError, AttributeError, PeeweeException)
_ITS_LOG, _NOWHERE = logging.getLogger("yfinance"), logging.NullHandler()


class TickerMissingError(Exception):
    """Yahoo answered, and has no bars of this ticker."""


class YahooUnavailableError(Exception):
    """Yahoo could not be reached, refused for now, or sent something unreadable; asking again may help."""


class YahooSession(Session[Response]):
    """A browser-like session that remembers the status of Yahoo's last answer about each ticker.

    Attributes:
        reached: Whether anybody has answered anything yet.
        statuses: HTTP status of the last chart, per ticker.
    """

    def __init__(self) -> None:
        super().__init__(impersonate="chrome")
        self.reached = False
        self.statuses: dict[str, int] = {}

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        """Passes the request on within our time limit, which is shorter than yfinance's, and notes the answer."""
        response = super().request(method, url, *args, **{**kwargs, "timeout": TIMEOUT})
        self.reached = True
        folder, _, ticker = urlsplit(url).path.rpartition("/")
        if folder.endswith("/v8/finance/chart"):
            self.statuses[unquote(ticker)] = response.status_code
        return response


class Yahoo:
    """Asks Yahoo for daily bars, within a ``with`` block: there yfinance raises what it otherwise logs.

    Args:
        session: Where requests go; a test passes one that stays on this machine.
        now: The time, which decides what day is still running.
    """

    def __init__(
        self, session: YahooSession | None = None, now: Callable[[], pd.Timestamp] = lambda: pd.Timestamp.now("UTC")
    ) -> None:
        _keep_yfinance_out_of_home()
        self._session = session or YahooSession()
        self._now = now

    def __enter__(self) -> "Yahoo":
        self._before = yfinance.config.debug.hide_exceptions, _ITS_LOG.propagate
        yfinance.config.debug.hide_exceptions, _ITS_LOG.propagate = False, False
        _ITS_LOG.addHandler(_NOWHERE)
        return self

    def __exit__(self, *exception: object) -> None:
        yfinance.config.debug.hide_exceptions, _ITS_LOG.propagate = self._before
        _ITS_LOG.removeHandler(_NOWHERE)

    @property
    def reached(self) -> bool:
        """Whether there is a network: somebody has answered something."""
        return self._session.reached

    def last_complete_day(self, timezone: str) -> np.datetime64:
        """Returns yesterday at the exchange: today's bar is not cached before midnight there, closed or not."""
        return np.datetime64(self._now().tz_convert(timezone).date(), "D") - np.timedelta64(1, "D")

    def history(self, ticker: str, start: np.datetime64) -> TickerHistory:
        """Returns the bars of `ticker` from day `start` to the last complete day at its exchange.

        Prices are adjusted for splits but not for dividends, which `adj_close` is too. A bar that Yahoo left empty
        is a row of NaN. Days are those of the exchange's time zone.

        Raises:
            TickerMissingError: Yahoo does not know the ticker or has no bars since `start`.
            YahooUnavailableError: Anything else that went wrong.
        """
        frame = self._ask(ticker, start)
        timezone = str(frame.index.tz)  # type: ignore[attr-defined]
        days = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]")  # type: ignore[attr-defined]
        complete = (days >= start) & (days <= self.last_complete_day(timezone))
        values = frame[list(_NAMES)].to_numpy(dtype=np.float64)[complete]
        values[np.isnan(values[:, COLUMNS.index("close")]), COLUMNS.index("volume")] = np.nan  # yfinance writes 0
        if not np.isfinite(values[:, COLUMNS.index("close")]).any():
            raise TickerMissingError(f"no complete day since {start}")
        return TickerHistory(ticker, timezone, start, days[complete], values)

    def _ask(self, ticker: str, start: np.datetime64) -> pd.DataFrame:
        self._session.statuses.pop(ticker, None)
        try:
            frame: pd.DataFrame = yfinance.Ticker(ticker, session=self._session).history(
                start=str(start), auto_adjust=False, actions=True, keepna=True
            )
            return frame
        except YFRateLimitError:
            reason = "HTTP 429, too many requests"
        except (
            YFTickerMissingError,
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            PeeweeException,
        ) as error:
            # What yfinance raises depends on where an unexpected answer trips it; Yahoo's status says what happened.
            status = self._session.statuses.get(ticker)
            if status == 404 and not isinstance(error, ValueError):  # ValueError: a page that is not Yahoo's JSON
                raise TickerMissingError("unknown to Yahoo") from None
            if isinstance(error, YFTickerMissingError) and status in _ANSWERED:
                raise TickerMissingError(f"no bars since {start}") from None
            told = " ".join(str(error).split()).partition(". See https")[0]  # curl ends with a link
            reason = f"HTTP {status}" if status not in (None, 200) else f"{type(error).__name__}: {told}"
        YfData.cache_get.cache_clear()  # it also remembers the answers that failed
        raise YahooUnavailableError(reason)


@functools.cache
def _keep_yfinance_out_of_home() -> None:
    """Gives yfinance's time zones and cookies a private folder that ends with this process.

    By default they are in the user's home. They must not be in our cache either: opening them changes files, and
    the cookies are pickled, so that a cache received from somebody else could run code.
    """
    folder = tempfile.mkdtemp(prefix="factorgym-yfinance-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yfinance.set_tz_cache_location(folder)
    try:
        get_tz_cache().lookup("")  # both open their file at the first use, which must not be several threads' at once
        get_cookie_cache().lookup("")
    except PeeweeException as error:
        raise OSError(f"{folder}: yfinance cannot write its cookies there ({error}); make room") from None
