"""A server on this machine that answers like Yahoo's chart service, and a session that talks to nobody else."""

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd

from market.sources.yahoo.client import YahooSession

CHART = "/v8/finance/chart/"


@dataclass
class Listing:
    """What the server knows of one ticker: prices of every day, None where Yahoo has an empty bar."""

    days: pd.DatetimeIndex
    close: list[float | None]
    adj_close: list[float | None]
    timezone: str = "America/New_York"
    dividends: dict[str, float] = field(default_factory=dict)
    splits: dict[str, tuple[float, float]] = field(default_factory=dict)

    def seconds(self, day: Any) -> int:
        """The exchange's opening, as seconds since 1970."""
        return int((pd.Timestamp(day) + pd.Timedelta("9h30min")).tz_localize(self.timezone).timestamp())

    def chart(self, first: float, last: float) -> dict[str, Any]:
        """Yahoo's JSON for the bars from `first` to `last`."""
        stamps = [self.seconds(day) for day in self.days]
        rows = [k for k, stamp in enumerate(stamps) if first <= stamp <= last]
        close = [self.close[k] for k in rows]
        meta = {
            "currency": "USD",
            "exchangeTimezoneName": self.timezone,
            "instrumentType": "EQUITY",
            "validRanges": ["1d", "max"],
            "dataGranularity": "1d",
            "priceHint": 2,
        }
        if not rows:
            return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
        quote = {
            "open": [value and value - 0.5 for value in close],
            "high": [value and value + 1.0 for value in close],
            "low": [value and value - 1.0 for value in close],
            "close": close,
            "volume": [value and 1000 + k for k, value in zip(rows, close, strict=True)],
        }
        adjusted = {"adjclose": [self.adj_close[k] for k in rows]}
        reply: dict[str, Any] = {
            "meta": meta,
            "timestamp": [stamps[k] for k in rows],
            "indicators": {"quote": [quote], "adjclose": [adjusted]},
        }
        dividends = {
            str(at): {"amount": amount, "date": at}
            for at, amount in ((self.seconds(day), amount) for day, amount in self.dividends.items())
            if first <= at <= last
        }
        splits = {
            str(at): {"date": at, "numerator": up, "denominator": down, "splitRatio": f"{up}:{down}"}
            for at, (up, down) in ((self.seconds(day), ratio) for day, ratio in self.splits.items())
            if first <= at <= last
        }
        if dividends or splits:
            reply["events"] = {"dividends": dividends, "splits": splits}
        return reply


def listing(first: str, last: str, seed: int = 0, **known: Any) -> Listing:
    """A random walk on the weekdays from `first` to `last`; the same seed gives the same price on the same day."""
    days = pd.bdate_range(first, last)
    ordinal = days.to_numpy().astype("datetime64[D]").astype(np.int64)
    close = [round(100 + 5 * float(np.sin(0.3 * day + seed)), 4) for day in ordinal]
    return Listing(days, list(close), list(close), **known)


class YahooServer:
    """Serves `listings`; `trouble[ticker]` is answered first, one entry a request.

    Trouble is an HTTP status, ``"truncated"`` (half of the JSON), ``"html"`` (another page, as a hotel's network
    shows), ``"reset"`` (the connection is dropped) or ``"slow"`` (an answer after `delay` seconds).
    ``trouble["*"]`` applies to every ticker, and a status in `always` to every request for it. `early` seconds of
    bars before the first one asked for come with it. `asked` lists every request for bars as ticker and first day;
    `foreign` every other request that has no answer here.
    """

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.trouble: dict[str, list[int | str]] = defaultdict(list)
        self.always: dict[str, int] = {}
        self.early = 0
        self.delay = 2.0
        self.asked: list[tuple[str, str]] = []
        self.foreign: list[str] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "YahooServer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops serving; connections are refused from now on."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def session(self) -> "LocalSession":
        return LocalSession(self.port)

    def answer(self, host: str, path: str, query: dict[str, list[str]]) -> tuple[int | str, str]:
        """The status (or kind of trouble) and the body for one request."""
        if host.endswith("fc.yahoo.com"):
            return 404, ""
        if path == "/v1/test/getcrumb":
            return 200, "crumb"
        if not path.startswith(CHART):
            with self._lock:
                self.foreign.append(host + path)
            return 404, "{}"
        ticker = unquote(path.removeprefix(CHART))
        with self._lock:
            if "period1" in query:
                zone = self.listings[ticker].timezone if ticker in self.listings else "UTC"
                start = pd.Timestamp(int(query["period1"][0]), unit="s", tz="UTC").tz_convert(zone)
                self.asked.append((ticker, str(start.date())))
            pending = self.trouble[ticker] or self.trouble["*"]
            trouble = pending.pop(0) if pending else self.always.get(ticker, 200)
        return self._chart(ticker, query, trouble)

    def _chart(self, ticker: str, query: dict[str, list[str]], trouble: int | str) -> tuple[int | str, str]:
        if ticker not in self.listings:
            told = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return 404, json.dumps({"chart": {"result": None, "error": told}})
        if trouble in (429, 401):
            return trouble, "Too Many Requests" if trouble == 429 else json.dumps({"finance": {"error": {}}})
        if trouble == 404:  # of a known ticker: somebody else's page
            return 404, "<html>No such page</html>"
        if isinstance(trouble, int) and trouble != 200:
            told = {"code": "Internal Server Error", "description": "please try later"}
            return trouble, json.dumps({"chart": {"result": None, "error": told}})
        first, last = (float(query[name][0]) if name in query else 0.0 for name in ("period1", "period2"))
        body = json.dumps({"chart": {"result": [self.listings[ticker].chart(first - self.early, last)], "error": None}})
        if trouble == "truncated":
            return 200, body[: len(body) // 2]
        if trouble == "html":
            return 200, "<html>Welcome to the hotel</html>"
        if trouble == "slow":
            time.sleep(self.delay)
            return 200, body
        return trouble, body


def _handler(server: YahooServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            host, _, path = url.path.lstrip("/").partition("/")
            status, body = server.answer(host, "/" + path, parse_qs(url.query))
            if status == "reset":
                self.close_connection = True
                return
            content = body.encode()
            self.send_response(int(status))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *entry: Any) -> None:
            pass

    return Handler


class LocalSession(YahooSession):
    """Sends every request, whatever its host, to the server on this machine: only the address is changed."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        local = f"http://127.0.0.1:{self._port}/{parts.netloc}{parts.path}"
        return super().request(method, local + (f"?{parts.query}" if parts.query else ""), *args, **kwargs)
