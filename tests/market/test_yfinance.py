"""The Yahoo source against a server on this machine; yfinance and its curl backend run as they are."""

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yfinance
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.sources import Source
from market.sources.yahoo import Yahoo
from market.sources.yahoo_cache import OVERLAP
from market.sources.yfinance import RETRIES_OFFLINE, YFinance
from tests.market.yahoo_server import YahooServer, listing

# yfinance 1.7.0 sorts and indexes in place, which pandas 4 will not do; the versions we pin still work together.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")

START, FRIDAY = "2020-01-06", "2020-03-06 18:00"  # a Friday on which New York still trades


@pytest.fixture
def server() -> Iterator[Any]:
    with YahooServer() as running:
        running.listings = {"AAPL": listing("2020-01-01", "2020-03-31"), "MSFT": listing("2020-01-01", "2020-03-31", 2)}
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


def read(server: Any, cache: Path, at: str = FRIDAY, tickers: Any = ("AAPL", "MSFT"), **options: Any) -> pd.DataFrame:
    """One run of the source at a given time; `waits` collects the pauses instead of sleeping."""
    waits = options.pop("waits", [])
    track = options.pop("track", lambda batches: batches)
    source = YFinance(tickers=tuple(tickers), start=options.pop("start", START), cache=str(cache), **options)
    yahoo = Yahoo(server.session(), now=lambda: pd.Timestamp(at, tz="UTC"))
    return source.read(yahoo, sleep=waits.append, track=track)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def scaled(server: Any, ticker: str, before: str, close: float, adj_close: float) -> None:
    """Multiplies the prices before a day, as Yahoo does after a split or a dividend."""
    known = server.listings[ticker]
    for k in np.flatnonzero(known.days < pd.Timestamp(before)):
        known.close[k] = known.close[k] and known.close[k] * close
        known.adj_close[k] = known.adj_close[k] and known.adj_close[k] * adj_close


def test_is_a_source() -> None:
    assert isinstance(YFinance(("AAPL",), START), Source)


def test_first_run_returns_what_yahoo_holds(server: Any, tmp_path: Path) -> None:
    server.listings["AAPL"].dividends["2020-02-07"] = 0.77
    server.listings["AAPL"].splits["2020-02-10"] = (4.0, 1.0)
    frame = read(server, tmp_path)
    apple = frame[frame["symbol"] == "AAPL"].set_index("date")
    known = server.listings["AAPL"]
    wanted = (known.days >= START) & (known.days < "2020-03-06")
    assert list(apple.index) == list(known.days[wanted])
    np.testing.assert_array_equal(apple["close"], np.array(known.close)[wanted])
    np.testing.assert_array_equal(apple["high"], np.array(known.close)[wanted] + 1.0)
    np.testing.assert_array_equal(apple["volume"], 1000.0 + np.flatnonzero(wanted))
    assert apple["dividend"].sum() == apple.loc["2020-02-07", "dividend"] == 0.77
    assert apple["split"].sum() == apple.loc["2020-02-10", "split"] == 4.0
    assert sorted(server.asked) == [("AAPL", START), ("MSFT", START)]
    assert Panel.from_frame(frame).assets == ("AAPL", "MSFT")
    assert list(frame.columns[:8]) == ["date", "symbol", "open", "high", "low", "close", "volume", "adj_close"]


def test_the_running_day_is_not_cached_and_days_are_the_exchanges(server: Any, tmp_path: Path) -> None:
    server.listings = {
        "AAPL": listing("2020-03-02", "2020-03-09"),
        "7203.T": listing("2020-03-02", "2020-03-09", timezone="Asia/Tokyo"),
    }
    frame = read(server, tmp_path, tickers=server.listings, start="2020-03-02", at="2020-03-06 16:00")
    last = frame.groupby("symbol")["date"].max()
    assert last["AAPL"] == pd.Timestamp("2020-03-05")  # Friday noon in New York
    assert last["7203.T"] == pd.Timestamp("2020-03-06")  # Saturday morning in Tokyo
    assert frame.groupby("symbol")["date"].min().eq("2020-03-02").all()


def test_second_run_asks_for_new_days_and_the_overlap_only(server: Any, tmp_path: Path) -> None:
    read(server, tmp_path)
    server.asked.clear()
    read(server, tmp_path)
    assert server.asked == []
    frame = read(server, tmp_path, at="2020-03-12 18:00")
    overlap = str(pd.bdate_range(end="2020-03-05", periods=OVERLAP)[0].date())
    assert sorted(server.asked) == [("AAPL", overlap), ("MSFT", overlap)]
    pd.testing.assert_frame_equal(frame, read(server, tmp_path / "fresh", at="2020-03-12 18:00"))
    assert frame["date"].max() == pd.Timestamp("2020-03-11")


def test_bars_from_before_the_asked_days_are_not_taken_twice(server: Any, tmp_path: Path) -> None:
    server.early = 4 * 86400
    assert read(server, tmp_path)["date"].min() == pd.Timestamp(START)
    frame = read(server, tmp_path, at="2020-03-12 18:00")
    assert not frame.duplicated(["date", "symbol"]).any()


def test_a_past_stop_needs_no_network_the_second_time(server: Any, tmp_path: Path) -> None:
    first = read(server, tmp_path, stop="2020-02-14")
    assert first["date"].max() == pd.Timestamp("2020-02-14")
    server.close()
    pd.testing.assert_frame_equal(read(server, tmp_path, at="2021-01-01", stop="2020-02-14"), first)


def test_an_earlier_start_fetches_in_full_and_a_later_one_nothing(server: Any, tmp_path: Path) -> None:
    read(server, tmp_path)
    server.asked.clear()
    assert read(server, tmp_path, start="2020-02-03")["date"].min() == pd.Timestamp("2020-02-03")
    assert server.asked == []
    assert read(server, tmp_path, start="2020-01-02")["date"].min() == pd.Timestamp("2020-01-02")
    assert sorted(server.asked) == [("AAPL", "2020-01-02"), ("MSFT", "2020-01-02")]


@pytest.mark.parametrize(("close", "adj_close"), [(1.0, 0.999), (0.5, 0.5)], ids=["dividend", "split"])
def test_adjusted_history_is_fetched_again_for_that_ticker_only(
    server: Any, tmp_path: Path, close: float, adj_close: float
) -> None:
    read(server, tmp_path)
    scaled(server, "MSFT", "2020-03-10", close, adj_close)
    server.asked.clear()
    frame = read(server, tmp_path, at="2020-03-12 18:00")
    asked = {ticker: [day for name, day in server.asked if name == ticker] for ticker in ("AAPL", "MSFT")}
    assert len(asked["AAPL"]) == 1
    assert asked["AAPL"][0] > START
    assert asked["MSFT"] == [asked["AAPL"][0], START]
    pd.testing.assert_frame_equal(frame, read(server, tmp_path / "fresh", at="2020-03-12 18:00"))


def test_rounding_in_history_is_not_an_adjustment(server: Any, tmp_path: Path) -> None:
    read(server, tmp_path)
    scaled(server, "MSFT", "2020-03-10", 1.0, 1 + 1e-7)
    server.asked.clear()
    read(server, tmp_path, at="2020-03-12 18:00")
    assert len(server.asked) == 2


@pytest.mark.parametrize("lost", ["2020-03-03", "2020-03-05"])
def test_a_known_day_that_vanished_means_fetching_again(server: Any, tmp_path: Path, lost: str) -> None:
    known = server.listings["AAPL"]
    known.close[:] = known.adj_close[:] = [100.0] * len(known.days)  # so that no price gives it away
    read(server, tmp_path, tickers=["AAPL"])
    k = list(known.days).index(pd.Timestamp(lost))
    known.days = known.days.delete(k)
    del known.close[k], known.adj_close[k]
    server.asked.clear()
    frame = read(server, tmp_path, tickers=["AAPL"], at="2020-03-12 18:00")
    assert [day for _, day in server.asked][1:] == [START]
    assert pd.Timestamp(lost) not in set(frame["date"])


STEPS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["nothing", "dividend", "split", "empty bar"])),
    min_size=1,
    max_size=4,
)


@given(STEPS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_the_cache_always_equals_a_fresh_download(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with YahooServer() as server:
        server.listings = {"AAPL": listing("2020-01-01", "2020-06-30")}
        today = pd.Timestamp("2020-02-12 18:00")
        for days, event in steps:
            read(server, folder / "kept", tickers=["AAPL"], at=str(today))
            before = str((today + pd.offsets.BDay(1)).date())
            if event == "empty bar":
                known = server.listings["AAPL"]
                k = list(known.days).index(pd.Timestamp(before))
                known.close[k] = known.adj_close[k] = None
            elif event != "nothing":
                scaled(server, "AAPL", before, 0.5 if event == "split" else 1.0, 0.5 if event == "split" else 0.99)
            today += pd.offsets.BDay(days)
        kept = read(server, folder / "kept", tickers=["AAPL"], at=str(today))
        fresh = read(server, folder / "fresh", tickers=["AAPL"], at=str(today))
    pd.testing.assert_frame_equal(kept, fresh)


def test_empty_bars_are_rows_of_nan(server: Any, tmp_path: Path) -> None:
    for k in (10, 11):
        server.listings["AAPL"].close[k] = server.listings["AAPL"].adj_close[k] = None
    frame = read(server, tmp_path, tickers=["AAPL"])
    empty = frame[frame["date"].isin(server.listings["AAPL"].days[10:12])]
    assert len(empty) == 2
    assert empty[["open", "high", "low", "close", "volume", "adj_close"]].isna().all(axis=None)
    assert frame["close"].notna().sum() == len(frame) - 2


def test_an_empty_last_bar_is_asked_for_again(server: Any, tmp_path: Path) -> None:
    k = list(server.listings["AAPL"].days).index(pd.Timestamp("2020-03-05"))
    price = server.listings["AAPL"].close[k]
    server.listings["AAPL"].close[k] = server.listings["AAPL"].adj_close[k] = None
    assert np.isnan(read(server, tmp_path, tickers=["AAPL"])["close"].iloc[-1])
    server.listings["AAPL"].close[k] = server.listings["AAPL"].adj_close[k] = price
    assert read(server, tmp_path, tickers=["AAPL"])["close"].iloc[-1] == price
    assert len(server.asked) == 2


def test_an_empty_bar_that_yahoo_filled_is_no_adjustment(server: Any, tmp_path: Path) -> None:
    known = server.listings["AAPL"]
    k = list(known.days).index(pd.Timestamp("2020-03-04"))
    price = known.close[k]
    known.close[k] = known.adj_close[k] = None
    read(server, tmp_path, tickers=["AAPL"])
    known.close[k] = known.adj_close[k] = price
    frame = read(server, tmp_path, tickers=["AAPL"], at="2020-03-12 18:00").set_index("date")
    assert frame.loc["2020-03-04", "close"] == price
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", [429, 500, 503, 401, "truncated", "html", "reset"])
def test_trouble_is_retried_after_growing_pauses(
    server: Any, tmp_path: Path, waits: list[float], kind: int | str
) -> None:
    read(server, tmp_path / "warm")  # its time zones are known then, so that trouble meets the request for bars
    server.asked.clear()
    server.trouble["AAPL"] = [kind] * 4  # yfinance itself asks a second time after an error status
    frame = read(server, tmp_path, waits=waits, pause=1.0)
    assert set(frame["symbol"]) == {"AAPL", "MSFT"}
    assert len(waits) == 2 or kind in ("truncated", "html", "reset")
    assert waits
    assert all(0.5 * 2**k <= wait <= 1.5 * 2**k for k, wait in enumerate(waits))
    assert [name for name, _ in server.asked].count("MSFT") == 1


def test_an_answer_that_takes_too_long_is_retried(
    server: Any, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(server, tmp_path / "warm")
    monkeypatch.setattr("market.sources.yahoo.TIMEOUT", (0.5, 0.5))
    server.trouble["AAPL"] = ["slow"]
    assert set(read(server, tmp_path, waits=waits)["symbol"]) == {"AAPL", "MSFT"}
    assert waits


@pytest.mark.parametrize("kind", [429, 500, "truncated"])
def test_trouble_before_anything_is_known_of_a_ticker_is_retried_too(
    server: Any, tmp_path: Path, waits: list[float], kind: int | str
) -> None:
    name = f"NEW{kind}".upper()  # yfinance remembers time zones, so each case needs a ticker of its own
    server.listings[name] = listing("2020-01-01", "2020-03-31")
    server.trouble[name] = [kind] * 4
    assert len(read(server, tmp_path, tickers=[name], waits=waits))
    assert waits


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502])
def test_a_service_that_keeps_refusing_is_no_missing_ticker(
    server: Any, tmp_path: Path, waits: list[float], status: int
) -> None:
    server.always["MSFT"] = status
    with pytest.raises(
        ValueError, match=rf"did not serve MSFT \(HTTP {status}.*\) after 4 attempts; .*run again"
    ) as failure:
        read(server, tmp_path, waits=waits, retries=3, allow_missing=True)
    assert "\n" not in str(failure.value)
    assert len(waits) == 3
    assert list(contents(tmp_path)) == ["AAPL.safetensors"]


def test_every_missing_ticker_is_named(server: Any, tmp_path: Path) -> None:
    tickers = ["NOPE", "AAPL", "GONE", "MSFT", "LOST", "LATE"]
    server.listings["LATE"] = listing("2020-03-20", "2020-03-31")
    with pytest.raises(ValueError, match=r"4 of 6 tickers: GONE .*, LATE .*, LOST .*, NOPE \(unknown to Yahoo\); .*"):
        read(server, tmp_path, tickers=tickers, batch=2)
    server.asked.clear()
    frame = read(server, tmp_path, tickers=tickers, allow_missing=True)
    assert set(frame["symbol"]) == {"AAPL", "MSFT"}
    assert not {"AAPL", "MSFT"} & {name for name, _ in server.asked}


def test_nothing_but_missing_tickers_is_an_error_even_where_allowed(server: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 of 1 tickers: NOPE"):
        read(server, tmp_path, tickers=["NOPE"], allow_missing=True)


def test_a_ticker_listed_only_after_stop_is_missing(server: Any, tmp_path: Path) -> None:
    server.listings["LATE"] = listing("2020-02-20", "2020-03-31")
    with pytest.raises(ValueError, match=r"1 of 2 tickers: LATE \(no bars from 2020-01-06 to 2020-02-14\)"):
        read(server, tmp_path, tickers=["AAPL", "LATE"], stop="2020-02-14")


def test_a_ticker_that_yahoo_forgot_keeps_its_known_bars_where_missing_is_allowed(server: Any, tmp_path: Path) -> None:
    first = read(server, tmp_path)
    del server.listings["MSFT"]
    with pytest.raises(ValueError, match="1 of 2 tickers: MSFT"):
        read(server, tmp_path, at="2020-03-12 18:00")
    frame = read(server, tmp_path, at="2020-03-12 18:00", allow_missing=True)
    assert (frame["symbol"] == "MSFT").sum() == (first["symbol"] == "MSFT").sum()


def test_without_network_one_line_and_nothing_changed_on_disk(
    server: Any, tmp_path: Path, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    read(server, tmp_path / "cache")
    before = contents(tmp_path)
    server.close()
    with pytest.raises(ValueError, match=r"cannot be reached for AAPL, MSFT \(.*check the network") as failure:
        read(server, tmp_path / "cache", at="2020-03-12 18:00", waits=waits, allow_missing=True)
    assert "\n" not in str(failure.value)
    assert len(waits) == RETRIES_OFFLINE
    with pytest.raises(ValueError, match=r"cannot be reached for AAPL, MSFT"):
        read(server, tmp_path / "other", allow_missing=True)
    assert contents(tmp_path) == before
    assert caplog.messages == []


def test_an_old_answer_is_not_taken_for_a_new_one(server: Any, tmp_path: Path) -> None:
    source = YFinance(("NOPE",), START, cache=str(tmp_path))
    yahoo = Yahoo(server.session())
    with pytest.raises(ValueError, match="unknown to Yahoo"):
        source.read(yahoo, sleep=lambda seconds: None)
    server.close()
    with pytest.raises(ValueError, match="did not serve NOPE"):
        source.read(yahoo, sleep=lambda seconds: None)


def test_yfinances_own_files_end_with_the_process(tmp_path: Path) -> None:
    places = {name: tmp_path / name.lower() for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    for folder in places.values():
        folder.mkdir()
    code = "import os; from market.sources.yahoo import Yahoo; Yahoo(); print(*os.listdir(os.environ['TMPDIR']))"
    environment = {**os.environ, **{name: str(folder) for name, folder in places.items()}}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "factorgym-yfinance-" in ran.stdout
    assert [path for folder in places.values() for path in folder.iterdir()] == []


def test_a_run_that_fails_midway_goes_on_where_it_was(server: Any, tmp_path: Path) -> None:
    names = [f"T{k}" for k in range(6)]
    server.listings = {name: listing("2020-01-01", "2020-03-31", k) for k, name in enumerate(names)}
    server.always["T3"] = 500
    with pytest.raises(ValueError, match="did not serve T3"):
        read(server, tmp_path, tickers=names, batch=2, retries=1)
    assert sorted(contents(tmp_path)) == [f"T{k}.safetensors" for k in (0, 1, 2)]
    server.always.clear()
    server.asked.clear()
    frame = read(server, tmp_path, tickers=names, batch=2)
    assert sorted(name for name, _ in server.asked) == ["T3", "T4", "T5"]
    assert set(frame["symbol"]) == set(names)


def test_a_run_killed_between_batches_goes_on_where_it_was(server: Any, tmp_path: Path) -> None:
    names = [f"T{k}" for k in range(4)]
    server.listings = {name: listing("2020-01-01", "2020-03-31", k) for k, name in enumerate(names)}

    def kill(batches: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        assert batches == [("T0", "T1"), ("T2", "T3")]
        yield batches[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(server, tmp_path, tickers=names, batch=2, track=kill)
    server.asked.clear()
    read(server, tmp_path, tickers=names, batch=2)
    assert sorted(name for name, _ in server.asked) == ["T2", "T3"]


def test_a_damaged_cache_file_is_named(server: Any, tmp_path: Path) -> None:
    read(server, tmp_path)
    path = tmp_path / "AAPL.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"AAPL\.safetensors: fingerprint .*delete it"):
        read(server, tmp_path)
    path.write_bytes((tmp_path / "MSFT.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"AAPL\.safetensors: it holds 'MSFT'.*expected 'AAPL'"):
        read(server, tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tickers": ()}, "tickers is empty"),
        ({"tickers": ("../../x",)}, r"'\.\./\.\./x' is not one of Yahoo's"),
        ({"tickers": ("..",)}, "is not one of Yahoo's"),
        ({"tickers": ("/etc/x",)}, "is not one of Yahoo's"),
        ({"tickers": ("A B",)}, "is not one of Yahoo's"),
        ({"tickers": ("aapl",)}, "expected capitals"),
        ({"tickers": ("AAPL\n",)}, "is not one of Yahoo's"),
        ({"tickers": ("US0378331005",)}, "is not one of Yahoo's"),
        ({"tickers": ("AAPL", "MSFT", "AAPL")}, "'AAPL' stands twice"),
        ({"start": "06/01/2020"}, "start is '06/01/2020'"),
        ({"start": "2020-13-01"}, "start is '2020-13-01'"),
        ({"stop": "2019-12-31"}, "stop 2019-12-31 lies before start 2020-01-06"),
        ({"batch": 0}, "batch 0"),
    ],
)
def test_bad_configuration_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        YFinance(**{"tickers": ("AAPL",), "start": START, **options})


@pytest.mark.parametrize("ticker", ["BRK-B", "^GSPC", "0700.HK", "EURUSD=X", "M&M.NS"])
def test_unusual_names_are_served(server: Any, tmp_path: Path, ticker: str) -> None:
    server.listings = {ticker: listing("2020-01-01", "2020-03-31")}
    assert set(read(server, tmp_path, tickers=[ticker])["symbol"]) == {ticker}


def test_yfinances_settings_are_as_before(server: Any, tmp_path: Path) -> None:
    read(server, tmp_path)
    assert yfinance.config.debug.hide_exceptions is True
    assert logging.getLogger("yfinance").propagate is True
    assert logging.getLogger("yfinance").handlers == []
    assert {path.suffix for path in tmp_path.rglob("*")} == {".safetensors"}
