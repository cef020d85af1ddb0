"""Days on which the market was open: holidays that vendors fill, real calendars, and ends that are not complete."""

import numpy as np
import pandas as pd
import pytest

from market.preparation.quality import Rules, clean
from tests.market.test_quality import DAYS, SYMBOLS, market, row

SATURDAY = np.datetime64("2020-02-15", "s")
BAR = ["open", "high", "low", "close"]


def repeated(frame: pd.DataFrame, day: int, date: np.datetime64) -> pd.DataFrame:
    """The bars of a day once more, flat and without volume, as vendors fill a day on which nobody traded."""
    again = frame.iloc[[row(symbol, day) for symbol in SYMBOLS]].assign(date=date, volume=0.0)
    return again.assign(open=again["close"], high=again["close"], low=again["close"])


@pytest.mark.parametrize("dropped", [[], ["volume"], ["volume", "open", "high", "low"]])
def test_a_weekend_that_repeats_the_last_prices_is_no_session(dropped: list[str]) -> None:
    frame = market().drop(columns="adj_close")
    both = [repeated(frame, 32, SATURDAY), repeated(frame, 32, SATURDAY + np.timedelta64(1, "D"))]
    panel, report = clean(pd.concat([frame, *both]).drop(columns=dropped))
    assert len(panel) == 80
    assert report["weekend"] is not None
    moved = frame.iloc[[row(symbol, 33) for symbol in SYMBOLS]].assign(date=SATURDAY)
    assert SATURDAY.astype("datetime64[D]") in clean(pd.concat([frame, moved]).drop(columns=dropped))[0].dates


@pytest.mark.parametrize("dropped", [[], ["volume"]])
def test_a_weekday_that_repeats_the_last_prices_is_a_holiday(dropped: list[str]) -> None:
    frame = market().drop(columns="adj_close")
    filled = pd.concat([frame[frame["date"] != DAYS[40]], repeated(frame, 39, DAYS[40])]).drop(columns=dropped)
    panel, report = clean(filled)
    assert len(panel) == 79
    assert DAYS[40].astype("datetime64[D]") not in panel.dates
    assert report["holiday"].count == 1  # type: ignore[union-attr]
    one = filled[~((filled["date"] == DAYS[40]) & (filled["symbol"] == "AAA"))]
    traded = pd.concat([one, frame.iloc[[row("AAA", 40)]].drop(columns=dropped)])
    assert len(clean(traded)[0]) == 80  # one asset did trade


@pytest.mark.parametrize("behind", [1, 2, 4])
def test_vendors_that_lag_by_some_days_leave_no_mass_delisting(behind: int) -> None:
    late = [row(symbol, day) for symbol in SYMBOLS[3:] for day in range(80 - behind, 80)]
    panel, report = clean(market().drop(late))
    assert len(panel) == 80 - behind
    assert report["ragged"].count == behind  # type: ignore[union-attr]
    assert panel.listed.all()
    kept, _ = clean(market().drop(late), Rules(ragged="keep"))
    assert len(kept) == 80


def test_assets_that_ended_a_week_ago_were_delisted() -> None:
    gone = [row(symbol, day) for symbol in SYMBOLS[3:] for day in range(73, 80)]
    panel, report = clean(market().drop(gone))
    assert len(panel) == 80
    assert report["ragged"] is None


# exchange_calendars itself still calls what pandas 4 will change
@pytest.mark.filterwarnings("ignore:Series.values:pandas.errors.Pandas4Warning")
@pytest.mark.parametrize(
    ("exchange", "closed", "open_"),
    [
        ("XNYS", ["2020-02-17", "2020-04-10"], ["2020-02-18"]),
        ("XSHG", ["2020-01-24", "2020-01-30", "2020-04-06"], ["2020-02-03", "2020-02-17", "2020-04-10"]),
    ],
)
def test_the_calendar_of_a_real_exchange_decides(exchange: str, closed: list[str], open_: list[str]) -> None:
    panel, report = clean(market(), Rules(calendar=exchange))
    left = set(panel.dates.astype(str))
    assert not left & set(closed)
    assert set(open_) <= left
    assert report["calendar"] is not None
