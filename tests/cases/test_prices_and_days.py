"""Dear shares, markets that open on Sundays, days that come twice, and markets that do not belong in one panel."""

import numpy as np
import pandas as pd
import pytest

from market.calendar import next_day, periods_per_year
from market.preparation.prepare import prepared
from market.preparation.quality import Report, Rules

ALL_DAYS = pd.date_range("2020-01-01", periods=200)
WEEKDAYS = ALL_DAYS[ALL_DAYS.day_of_week < 5]
SUNDAY_TO_THURSDAY = ALL_DAYS[ALL_DAYS.day_of_week.isin([6, 0, 1, 2, 3])]


def bars(days: pd.DatetimeIndex, names: list[str], level: float = 50.0) -> pd.DataFrame:
    rows = []
    for k, name in enumerate(names):
        rng = np.random.default_rng(k)
        close = level * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        volume = rng.integers(10_000, 90_000, len(days)).astype(float)
        prices = {"open": close * 1.001, "high": close * 1.01, "low": close * 0.99, "close": close}
        rows.append(pd.DataFrame({"date": days, "symbol": name, **prices, "volume": volume}))
    return pd.concat(rows, ignore_index=True)


def found(report: Report, check: str) -> set[str]:
    finding = report[check]
    return set() if finding is None else set(finding.by_asset)


@pytest.mark.parametrize("level", [2.5e6, 9.9e5, 4e7])
def test_shares_that_always_cost_millions_are_kept(level: float) -> None:
    panel, report = prepared(bars(WEEKDAYS, ["005930.KS", "000660.KS"], level), Rules())
    assert panel.tradable.all()
    assert not report.findings


def test_a_price_of_millions_among_small_ones_is_a_mistake() -> None:
    frame = bars(WEEKDAYS, ["A", "B"])
    wrong = frame.index[(frame["symbol"] == "A")][60:72]
    frame.loc[wrong, ["open", "high", "low", "close"]] *= 1e5
    panel, report = prepared(frame, Rules())
    assert report["extreme"].count == len(wrong)
    assert np.isnan(panel["close"][60:72, panel.asset_index("A")]).all()


@pytest.mark.parametrize("off", [[4, 5], [3, 4]])
def test_a_market_that_opens_on_the_weekend_keeps_every_day(off: list[int]) -> None:
    days = ALL_DAYS[~ALL_DAYS.day_of_week.isin(off)]
    panel, report = prepared(bars(days, ["A", "B", "C"]), Rules())
    assert len(panel) == len(days)
    assert not report.findings
    assert periods_per_year(panel.dates) == 252.0


def test_its_weeks_begin_after_its_weekend_and_its_tomorrow_is_a_day_it_trades_on() -> None:
    panel, _ = prepared(bars(SUNDAY_TO_THURSDAY, ["A", "B", "C"]), Rules(), frequency="w")
    assert set(pd.DatetimeIndex(panel.dates).day_of_week) == {3}  # a week ends on Thursday
    thursday = np.datetime64("2020-02-06")
    days = SUNDAY_TO_THURSDAY.to_numpy().astype("datetime64[D]")
    assert next_day(days[days <= thursday]) == np.datetime64("2020-02-09")


@pytest.mark.parametrize(
    "second",
    [
        {},
        {"volume": 1.01},
        {"close": 1 + 1e-6, "open": 1 + 1e-6},  # another rounding
        {"close": np.nan, "open": np.nan, "high": np.nan, "low": np.nan},
    ],
)
def test_a_last_day_that_comes_twice_and_is_in_nobodys_doubt_stays(second: dict[str, float]) -> None:
    frame = bars(WEEKDAYS, ["A", "B"])
    last = frame[frame["date"] == frame["date"].max()]
    again = last.assign(**{name: last[name] * change for name, change in second.items()})
    panel, report = prepared(pd.concat([frame, again]), Rules())
    assert len(panel) == len(WEEKDAYS)
    np.testing.assert_allclose(panel["close"][-1], last["close"], rtol=2e-6)
    assert report["duplicate"].treatment == "drop"


def test_a_last_day_of_two_prices_is_nobodys() -> None:
    frame = bars(WEEKDAYS, ["A", "B"])
    last = frame[(frame["date"] == frame["date"].max()) & (frame["symbol"] == "A")]
    panel, _ = prepared(pd.concat([frame, last.assign(close=last["close"] * 1.003)]), Rules())
    assert not panel.tradable[-1, panel.asset_index("A")]
    assert panel.tradable[-1, panel.asset_index("B")]


def test_a_last_day_of_two_prices_of_everybody_is_told_to_be_empty() -> None:
    frame = bars(WEEKDAYS, ["A", "B"])
    last = frame[frame["date"] == frame["date"].max()]
    panel, report = prepared(pd.concat([frame, last.assign(close=last["close"] * 1.003)]), Rules())
    assert len(panel) == len(WEEKDAYS) - 1
    assert "no bar of any asset is left" in report.table()
    assert "0 of 0" not in report.table()


def test_another_calendar_in_the_panel_is_told_of() -> None:
    coins = bars(ALL_DAYS, ["BTC-USD"])
    riyadh = bars(SUNDAY_TO_THURSDAY, ["2222.SR", "1120.SR"])
    shares = bars(WEEKDAYS, [f"S{k}" for k in range(8)])
    _, report = prepared(pd.concat([coins, riyadh, shares]), Rules())
    assert found(report, "calendars") == {"BTC-USD", "2222.SR", "1120.SR"}
    assert found(report, "currencies") == {"2222.SR", "1120.SR"}
    with pytest.raises(ValueError, match="check 'calendars' found"):
        prepared(pd.concat([riyadh, shares]), Rules(currencies="keep", calendars="refuse"))


def test_holidays_tell_exchanges_apart_that_share_their_weekdays() -> None:
    days = pd.bdate_range("2019-01-01", periods=520)
    tokyo = bars(days.delete(np.arange(5, 500, 45)), ["7203.T", "6758.T"])
    paris = bars(days.delete(np.arange(20, 500, 50)), ["MC.PA", "OR.PA", "AI.PA", "BN.PA"])
    _, report = prepared(pd.concat([tokyo, paris]), Rules())
    assert found(report, "calendars") == {"7203.T", "6758.T"}
    assert found(report, "currencies") == {"7203.T", "6758.T"}


def test_a_stated_currency_outranks_suffixes_and_one_market_is_no_mixture() -> None:
    frame = bars(WEEKDAYS, ["A", "B", "C"])
    mixed = frame.assign(currency=np.where(frame["symbol"] == "B", "EUR", "USD"))
    assert found(prepared(mixed, Rules())[1], "currencies") == {"B"}
    one = bars(WEEKDAYS, [*(f"S{k}" for k in range(11)), "MKC.V"]).sample(frac=0.98, random_state=0)  # a share class
    report = prepared(one, Rules())[1]
    assert not found(report, "currencies")
    assert not found(report, "calendars")
