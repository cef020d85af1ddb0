import numpy as np
import pandas as pd
import pytest

from market.preparation.prepare import prepared
from market.preparation.quality import Rules
from market.prices.dividends import dividend_returns


def long_frame(quoted, factor):
    days = pd.bdate_range("2020-01-01", periods=len(quoted))
    frame = pd.DataFrame({"date": days, "symbol": "A", "close": quoted, "adj_close": quoted * factor})
    for name in ("open", "high", "low"):
        frame[name] = frame["close"]
    return frame.assign(volume=1e6)


def test_dividends_are_what_adjusted_prices_earn_beyond_quoted_ones():
    rng = np.random.default_rng(0)
    quoted = 100 * np.exp(rng.normal(0, 0.01, 60).cumsum())
    factor = np.ones(60)
    factor[:20] *= 1 - 0.7 / quoted[19]  # a dividend of .70 on day 20
    factor[:40] *= 1 - 1.5 / quoted[39]
    panel, _ = prepared(long_frame(quoted, factor), Rules(stale_days=1000))
    found = dividend_returns(panel)[:, 0]
    assert set(np.flatnonzero(found)) == {20, 40}
    adjusted = panel["close"][:, 0]
    total, price = adjusted[1:] / adjusted[:-1] - 1, quoted[1:] / quoted[:-1] - 1
    np.testing.assert_allclose(total - found[1:], price, atol=1e-9)


def test_a_split_is_no_dividend_and_nothing_is_known_without_quotes():
    quoted = np.full(30, 100.0) * (1 + 0.001 * np.arange(30))
    factor = np.ones(30)
    factor[:10] = 0.5
    panel, _ = prepared(long_frame(quoted, factor), Rules(stale_days=1000, split="keep"))
    assert not dividend_returns(panel).any()
    assert dividend_returns(panel.select(fields=("close",))) is None


@pytest.mark.parametrize(("step", "periods"), [("B", 252), ("D", 365), ("W-FRI", 52), ("ME", 12), ("QE", 4)])
def test_periods_per_year_follow_the_calendar(step, periods):
    from market.calendar import periods_per_year

    for count in (8, 40):
        dates = pd.date_range("2019-03-04", periods=count, freq=step).to_numpy().astype("datetime64[D]")
        assert periods_per_year(dates) == periods


def test_a_week_of_six_days_has_more_bars_than_one_of_five():
    from market.calendar import periods_per_year

    dates = pd.date_range("2019-01-01", "2020-12-31")
    assert periods_per_year(dates[dates.day_of_week != 5].to_numpy().astype("datetime64[D]")) == 302
