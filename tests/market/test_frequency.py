import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from market.panel import Panel
from market.preparation.resampling import resample
from market.sources.synthetic.source import Events, Synthetic

PANEL = Panel.from_frame(
    Synthetic(stocks=8, days=300, start="2019-10-02", events=Events(0.4, 0.4, 0.03, 0.003, adjusted=False)).read()
)
RULES = {"w": "W-SUN", "m": "ME", "q": "QE"}


@pytest.mark.parametrize("frequency", RULES)
def test_bars_agree_with_pandas(frequency):
    bars = resample(PANEL, frequency)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "adj_close": "last"}
    for n in range(8):
        daily = pd.DataFrame(PANEL.values[:, n], index=pd.DatetimeIndex(PANEL.dates), columns=list(PANEL.fields))
        expected = daily.resample(RULES[frequency]).agg(how)
        expected["volume"] = daily["volume"].resample(RULES[frequency]).sum(min_count=1)
        expected = expected[list(PANEL.fields)].to_numpy()[: len(bars)]
        np.testing.assert_allclose(bars.values[:, n], expected)


def test_weeks_run_from_monday_to_sunday_where_weekends_are_traded():
    dates = np.datetime64("2020-01-01") + np.arange(len(PANEL))
    daily = Panel(dates, PANEL.assets, PANEL.fields, PANEL.values, PANEL.listed, PANEL.tradable)
    weekdays = pd.DatetimeIndex(resample(daily, "w").dates).day_of_week
    assert (weekdays == 6).all()


def test_amounts_are_summed_as_volumes_are():
    fields = tuple("amount" if name == "volume" else name for name in PANEL.fields)
    renamed = Panel(PANEL.dates, PANEL.assets, fields, PANEL.values, PANEL.listed, PANEL.tradable)
    np.testing.assert_array_equal(resample(renamed, "w")["amount"], resample(PANEL, "w")["volume"])


@pytest.mark.parametrize("frequency", RULES)
def test_dates_are_the_last_trading_days_and_masks_those_of_that_day(frequency):
    bars = resample(PANEL, frequency)
    days = pd.Series(pd.DatetimeIndex(PANEL.dates))
    last = days.groupby(days.dt.to_period(frequency.upper())).last().to_numpy().astype("datetime64[D]")
    np.testing.assert_array_equal(bars.dates, last[: len(bars)])
    assert len(last) - len(bars) <= 1
    rows = np.searchsorted(PANEL.dates, bars.dates)
    starts = np.append(0, rows[:-1] + 1)
    np.testing.assert_array_equal(bars.listed, PANEL.listed[rows])
    np.testing.assert_array_equal(bars.tradable, PANEL.tradable[rows] & PANEL.tradable[starts])
    assert (bars.tradable != bars.listed).any()
    assert bars.source["frequency"] == frequency


@given(st.sampled_from(list(RULES)), st.integers(1, 300), st.booleans())
def test_a_cut_panel_has_rows_of_the_whole_one(frequency, stop, weekends):
    panel = PANEL
    if weekends:
        assume(stop > 3)  # the first three days are Wednesday to Friday, which a market of five days has too
        dates = PANEL.dates[0] + np.arange(len(PANEL))
        panel = Panel(dates, PANEL.assets, PANEL.fields, PANEL.values, PANEL.listed, PANEL.tradable)
    whole = resample(panel, frequency)
    if whole.dates[0] > panel.dates[stop - 1]:
        with pytest.raises(ValueError, match="no complete period"):
            resample(panel[:stop], frequency)
        return
    if whole.dates[0] == panel.dates[stop - 1] and stop < len(panel):
        return  # the first period has just ended, which only the next day may tell
    cut = resample(panel[:stop], frequency)
    assert cut.dates[-1] <= panel.dates[stop - 1]
    np.testing.assert_array_equal(cut.dates, whole.dates[: len(cut)])
    np.testing.assert_array_equal(cut.values, whole.values[: len(cut)])
    np.testing.assert_array_equal(cut.tradable, whole.tradable[: len(cut)])


def test_a_period_that_has_ended_is_there_on_its_last_day():
    # 2020-01-31 is a Friday and the last weekday of its week and month
    friday = PANEL.between(stop="2020-01-31")
    assert str(resample(friday, "w").dates[-1]) == str(resample(friday, "m").dates[-1]) == "2020-01-31"
    thursday = PANEL.between(stop="2020-01-30")
    assert str(resample(thursday, "w").dates[-1]) == "2020-01-24"
    assert str(resample(thursday, "m").dates[-1]) == "2019-12-31"
    assert str(resample(PANEL.between(stop="2020-03-30"), "q").dates[-1]) == "2019-12-31"


def test_daily_bars_are_returned_as_they_are_and_the_rest_refused():
    assert resample(PANEL, "d") is PANEL
    with pytest.raises(ValueError, match="frequency is 'y', expected one of d, w, m, q"):
        resample(PANEL, "y")
    with pytest.raises(ValueError, match="5 days hold no complete period of frequency 'm'"):
        resample(PANEL[:5], "m")
    with pytest.raises(ValueError, match="0 days hold no complete period"):
        resample(PANEL[:0], "w")
