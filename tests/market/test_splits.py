from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.prices.labels import Label
from market.splits import Split, WalkForward

DATES = np.arange("2020-01-01", "2020-12-31", dtype="datetime64[D]")
WEEKDAYS = DATES[np.is_busday(DATES)]
SPLIT = Split(train=("2020-01-01", "2020-06-30"), valid=("2020-07-06", "2020-08-31"), test=("2020-09-07", "2020-12-30"))


def test_days_are_the_rows_between_both_dates_inclusive():
    days = SPLIT.days(WEEKDAYS, 2)
    for name in ("train", "valid", "test"):
        first, last = getattr(SPLIT, name)
        expected = [day for day in WEEKDAYS.astype(str) if first <= day <= last]
        assert WEEKDAYS[getattr(days, name)].astype(str).tolist() == expected


def test_the_purge_is_exactly_the_span_of_a_label():
    # 2020-06-30 is a Tuesday, then Wed, Thu, Fri, and valid starts on Monday: three days lie between
    assert SPLIT.days(WEEKDAYS, 3)
    with pytest.raises(
        ValueError, match=r"train \(until 2020-06-30\) reach 4 days ahead.*start valid on 2020-07-07 or"
    ):
        SPLIT.days(WEEKDAYS, 4)
    assert replace(SPLIT, valid=("2020-07-07", "2020-08-31")).days(WEEKDAYS, 4)
    late = replace(SPLIT, test=("2020-09-02", "2020-12-30"))
    with pytest.raises(
        ValueError, match=r"valid \(until 2020-08-31\).*test \(from 2020-09-02\); start test on 2020-09-03"
    ):
        late.days(WEEKDAYS, 2)
    with pytest.raises(ValueError, match="end train on an earlier day"):
        late.days(WEEKDAYS, 250)


def test_parts_that_are_not_wanted_are_empty_and_may_lie_beyond_the_calendar():
    known = WEEKDAYS[: int(np.searchsorted(WEEKDAYS, np.datetime64("2020-09-03")))]
    with pytest.raises(ValueError, match=r"test .* holds no trading day"):
        SPLIT.days(known, 2)
    days = SPLIT.days(known, 2, ("train", "valid"))
    assert days.valid == SPLIT.days(WEEKDAYS, 2).valid
    assert len(known[days.test]) == 0
    with pytest.raises(ValueError, match="reach 4 days ahead"):
        SPLIT.days(known, 4, ("train", "valid"))


@given(st.sampled_from(["close", "next_open", "next_close"]), st.integers(1, 6), st.integers(0, 12))
def test_an_accepted_split_has_no_label_that_sees_the_next_part(fill, horizon, gap):
    label = Label(fill, horizon)
    split = Split(
        ("2020-01-01", "2020-03-31"),
        (str(np.datetime64("2020-04-01") + gap), "2020-06-30"),
        ("2020-08-03", "2020-09-30"),
    )
    grid = (len(WEEKDAYS), 2)
    prices = np.exp(np.random.default_rng(0).normal(size=(*grid, 2)).cumsum(0) * 0.01)
    panel = Panel(WEEKDAYS, ("A", "B"), ("open", "close"), prices, np.ones(grid, bool), np.ones(grid, bool))
    try:
        days = split.days(WEEKDAYS, label.span)
    except ValueError:
        first = int(np.searchsorted(WEEKDAYS, np.datetime64(split.valid[0])))
        last = int(np.searchsorted(WEEKDAYS, np.datetime64("2020-03-31")))
        assert first - last <= label.span
        return
    changed = prices.copy()
    changed[days.valid.start :] *= np.random.default_rng(1).uniform(0.5, 2, changed[days.valid.start :].shape)
    before, after = label.compute(panel), label.compute(replace(panel, values=changed))
    np.testing.assert_array_equal(before[days.train], after[days.train])
    assert np.isfinite(before[days.train]).all()


def test_parts_without_days_are_refused():
    weekend = replace(SPLIT, valid=("2020-07-11", "2020-07-12"))
    with pytest.raises(
        ValueError, match=r"valid \(2020-07-11 to 2020-07-12\) holds no trading day; the calendar runs from"
    ):
        weekend.days(WEEKDAYS, 1)
    with pytest.raises(ValueError, match=r"test .* holds no trading day"):
        SPLIT.days(WEEKDAYS[:150], 1)
    with pytest.raises(ValueError, match="the calendar is empty"):
        SPLIT.days(WEEKDAYS[:0], 1)
    with pytest.raises(ValueError, match="label_span is -1"):
        SPLIT.days(WEEKDAYS, -1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ("2020-02-01", "2020-01-01")}, "train ends on 2020-01-01, before it starts on 2020-02-01; swap"),
        ({"valid": ("2020-06-30", "2020-08-31")}, "valid starts on 2020-06-30, but train ends on 2020-06-30; start it"),
        ({"test": ("2020-08-01", "2020-12-01")}, "test starts on 2020-08-01, but valid ends on 2020-08-31"),
        ({"test": ("2020-13-01", "2020-12-01")}, "test has '2020-13-01', expected a day as text, YYYY-MM-DD"),
        ({"test": ("20200907", "2020-12-01")}, "test has '20200907', expected"),
        ({"train": (np.datetime64("2020-01-01"), "2020-06-30")}, "train has .*datetime64.*, expected a day as text"),
        ({"train": ("2020-01-01",)}, r"train is \('2020-01-01',\), expected its first and its last day"),
        ({"valid": None}, "valid is None, expected its first and its last day"),
        ({"test": "2020-12-01"}, "test is '2020-12-01', expected its first and its last day"),
    ],
)
def test_wrong_dates_are_refused_with_their_values(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SPLIT, **change)


@given(
    train=st.one_of(st.none(), st.integers(1, 60)),
    valid=st.integers(1, 20),
    span=st.integers(1, 6),
    every=st.one_of(st.sampled_from(["year", "quarter", "month"]), st.integers(1, 40)),
    first=st.integers(0, 400),
)
@settings(deadline=None)
def test_every_day_of_a_walk_is_served_once_by_a_fit_that_ended_before_it(train, valid, span, every, first):
    walk = WalkForward(str(WEEKDAYS[0] + first), every, valid, train)
    start = int(np.searchsorted(WEEKDAYS, WEEKDAYS[0] + first))
    least = (valid if train is None else train) + valid + 3 * span - 1
    if start < least or start == len(WEEKDAYS):
        with pytest.raises(ValueError, match=r"^walk-forward: (before|first)"):
            walk.folds(WEEKDAYS, span)
        return
    folds = walk.folds(WEEKDAYS, span)
    served = np.concatenate([np.arange(fold.serves.start, fold.serves.stop) for fold in folds])
    np.testing.assert_array_equal(served, np.arange(start, len(WEEKDAYS)))
    for number, fold in enumerate(folds):
        assert fold.number == number
        rows = fold.split(WEEKDAYS).days(WEEKDAYS, span)  # refuses parts whose labels overlap
        assert (rows.train, rows.valid, rows.test) == (fold.train, fold.valid, fold.serves)
        assert fold.valid.stop - 1 + span == fold.fit_end  # the last price that a valid label needs
        assert fold.fit_end + span == fold.serves.start
        assert fold.valid.stop - fold.valid.start == valid
        assert fold.train.start == (0 if train is None else fold.train.stop - train)
        assert fold.train.stop - fold.train.start >= (train or valid)


def test_refits_follow_the_calendar():
    days = WEEKDAYS
    month = WalkForward(str(days[100]), "month", 20)
    starts = [days[fold.serves.start] for fold in month.folds(days, 1)]
    assert starts[0] == days[100]
    for earlier, later in pairwise(starts):
        assert 25 <= (later - earlier).astype(int) <= 34
    quarter = WalkForward(str(days[100]), "quarter", 20).folds(days, 1)
    assert [days[fold.serves.start] for fold in quarter] == starts[::3]
    counted = WalkForward(str(days[100]), 30, 20).folds(days, 1)
    assert [fold.serves.start for fold in counted] == list(range(100, len(days), 30))


def test_a_refit_on_the_last_day_of_a_long_month_comes_on_the_last_day_of_a_short_one():
    every = np.arange(np.datetime64("2019-01-01"), np.datetime64("2020-04-02"))
    folds = WalkForward("2019-12-31", "month", 20).folds(every, 1)
    assert [str(every[fold.serves.start]) for fold in folds] == ["2019-12-31", "2020-01-31", "2020-02-29", "2020-03-31"]


def test_a_walk_says_when_the_next_refit_is_due():
    every = np.arange(np.datetime64("2019-01-01"), np.datetime64("2020-04-02"))
    assert WalkForward("2019-12-31", "month").due(every) == (np.datetime64("2020-04-30"), None)
    assert WalkForward("2020-01-01", "year").due(every) == (np.datetime64("2021-01-01"), None)
    for served in range(1, 12):
        day, left = WalkForward(str(every[-served]), 5, 20).due(every)
        assert day is None
        longer = np.arange(every[0], every[-1] + left + 1)
        folds = WalkForward(str(every[-served]), 5, 20)
        assert len(folds.folds(longer[:-1], 1)) + 1 == len(folds.folds(longer, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": "soon"}, "first is 'soon', expected a day"),
        ({"every": "week"}, "every is 'week', expected year, quarter, month or trading days"),
        ({"every": 0}, "every is 0 days, expected at least 1"),
        ({"valid": 0}, "valid is 0 days"),
        ({"train": 0}, "train is 0 days"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=f"walk-forward: {message}"):
        replace(WalkForward("2020-06-01"), **change)


def test_a_first_refit_with_too_few_days_names_the_earliest_day_it_may_serve():
    words = r"before \S+ there are 30 trading days, but train of 100, valid of 20"
    with pytest.raises(ValueError, match=words) as told:
        WalkForward(str(WEEKDAYS[30]), valid=20, train=100).folds(WEEKDAYS, 2)
    earliest = str(told.value).split("serve from ")[1].split()[0]
    assert WalkForward(earliest, valid=20, train=100).folds(WEEKDAYS, 2)[0].train.start == 0


def test_a_split_of_another_panel_says_what_is_left_of_its_parts():
    split = Split(("2008-04-01", "2019-03-29"), ("2019-04-08", "2021-03-31"), ("2021-04-08", "2024-03-28"))
    whole = np.arange(np.datetime64("2008-04-03"), np.datetime64("2024-03-20"))
    assert split.shortfalls(whole) == []
    train, test = split.shortfalls(
        whole[(whole >= np.datetime64("2019-01-01")) & (whole < np.datetime64("2021-05-01"))]
    )
    assert (
        train == "split: of train, 2008-04-01 to 2019-03-29, there are only the 88 days from 2019-01-01 to 2019-03-29"
    )
    assert "of test" in test
