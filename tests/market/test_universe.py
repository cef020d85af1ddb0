import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.panel import Panel
from market.preparation.membership import with_halts, with_membership, with_minimum_history
from market.sources.synthetic.source import Events, Synthetic

EVENTS = Events(listings=0.4, delistings=0.4, halts=0.02)
PANEL = Panel.from_frame(Synthetic(stocks=6, days=60, start="2020-01-01", events=EVENTS, seed=2).read())
DAYS = st.dates(pd.Timestamp("2019-12-20").date(), pd.Timestamp("2020-04-10").date())
INTERVALS = st.lists(st.tuples(st.sampled_from(["S0", "S1", "S2", "S3", "XX"]), DAYS, DAYS), min_size=1, max_size=8)


@given(INTERVALS)
def test_membership_narrows_what_is_listed_and_nothing_else(rows):
    rows = [("S5", "2020-01-01", "2020-01-31")] + [(s, str(min(a, b)), str(max(a, b))) for s, a, b in rows]
    panel = with_membership(PANEL, pd.DataFrame(rows, columns=["symbol", "start", "end"]))
    for n, asset in enumerate(PANEL.assets):
        for t, day in enumerate(PANEL.dates.astype(str)):
            member = any(symbol == asset and start <= day <= end for symbol, start, end in rows)
            assert panel.listed[t, n] == (PANEL.listed[t, n] and member)
            assert panel.tradable[t, n] == (PANEL.tradable[t, n] and member)
    assert panel.values is PANEL.values


def test_open_intervals_mean_always():
    frame = pd.DataFrame({"symbol": ["S0", "S1"], "start": [None, "2020-02-03"], "end": ["2020-02-03", None]})
    panel = with_membership(PANEL, frame)
    border = int(np.searchsorted(PANEL.dates, np.datetime64("2020-02-03")))
    np.testing.assert_array_equal(panel.listed[:, 0], PANEL.listed[:, 0] & (np.arange(60) <= border))
    np.testing.assert_array_equal(panel.listed[:, 1], PANEL.listed[:, 1] & (np.arange(60) >= border))
    assert not panel.listed[:, 2:].any()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"symbol": ["S0"], "start": ["2020-01-01"]}, "no column 'end' among"),
        ({"symbol": ["S0"], "start": ["2020-02-01"], "end": ["2020-01-01"]}, "S0 ends on 2020-01-01, before it starts"),
        ({"symbol": ["s0"], "start": ["2020-01-01"], "end": ["2020-02-01"]}, r"none of its symbols \(s0.*\(S0, S1, S2"),
        ({"symbol": ["S0"], "start": ["soon"], "end": ["2020-02-01"]}, "column 'start' holds something that is not a"),
    ],
)
def test_wrong_intervals_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        with_membership(PANEL, pd.DataFrame(frame))


def test_halts_stop_trading_but_not_listing():
    halted = np.zeros(PANEL.tradable.shape, dtype=bool)
    halted[10:12, 0] = True
    panel = with_halts(PANEL, halted)
    assert not panel.tradable[10:12, 0].any()
    np.testing.assert_array_equal(panel.listed, PANEL.listed)
    halted[10:12, 0] = False
    np.testing.assert_array_equal(panel.tradable[~halted] | (~halted & ~panel.tradable)[~halted], True)
    assert (panel.tradable != PANEL.tradable).sum() == 2
    with pytest.raises(ValueError, match=r"shape \(60,\), expected \(60, 6\)"):
        with_halts(PANEL, halted[:, 0])


@pytest.mark.parametrize("days", [1, 5, 40])
def test_minimum_history_counts_closes_seen_so_far(days):
    panel = with_minimum_history(PANEL, days)
    closes = pd.DataFrame(PANEL["close"]).notna().cumsum().to_numpy()
    np.testing.assert_array_equal(panel.listed, PANEL.listed & (closes >= days))
    np.testing.assert_array_equal(with_minimum_history(PANEL[:30], days).listed, panel.listed[:30])
    with pytest.raises(ValueError, match="days is 0"):
        with_minimum_history(PANEL, 0)
