"""Every kind of dirt is found where it was planted and nowhere else, and cleaning never looks ahead."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import PRICES, Panel
from market.preparation.quality import Report, Rules, clean
from market.preparation.quality.checks import holiday as holidays
from market.preparation.quality.checks import impossible as impossible_bars
from market.preparation.quality.checks import stale_run

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
DAYS = pd.bdate_range("2020-01-01", periods=80).to_numpy().astype("datetime64[s]")


def market(days: np.ndarray = DAYS, symbols: tuple[str, ...] = SYMBOLS, seed: int = 0) -> pd.DataFrame:
    """Clean bars: a quiet random walk with volume, adjusted closes and a further field."""
    rng = np.random.default_rng(seed)
    frames = []
    for symbol in symbols:
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        open_ = close * np.exp(rng.normal(0, 0.003, len(days)))
        frames.append(
            pd.DataFrame(
                {
                    "date": days,
                    "symbol": symbol,
                    "open": open_,
                    "high": np.maximum(open_, close) * 1.002,
                    "low": np.minimum(open_, close) * 0.998,
                    "close": close,
                    "volume": rng.uniform(0.9e6, 1.1e6, len(days)),
                    "adj_close": 0.9 * close,
                    "mood": rng.normal(size=len(days)),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def row(symbol: str, day: int) -> int:
    return SYMBOLS.index(symbol) * len(DAYS) + day


def edit(frame: pd.DataFrame, symbol: str, days: Any, **values: Any) -> None:
    for name, value in values.items():
        frame.loc[[row(symbol, d) for d in np.atleast_1d(days)], name] = value


def scale(frame: pd.DataFrame, symbol: str, days: Any, factor: float, *fields: str) -> None:
    for name in fields:
        frame.loc[[row(symbol, d) for d in np.atleast_1d(days)], name] *= factor


def nonpositive(frame: pd.DataFrame) -> pd.DataFrame:
    edit(frame, "AAA", 30, low=0.0)
    edit(frame, "BBB", 31, adj_close=-2.0)
    edit(frame, "CCC", 32, volume=-1.0)
    edit(frame, "DDD", 33, volume=np.inf)
    return frame.set_index(pd.Index([0] * len(frame)))  # whatever the index is


def missing(frame: pd.DataFrame) -> pd.DataFrame:
    edit(frame, "AAA", 30, open=np.nan)
    edit(frame, "BBB", 31, **dict.fromkeys((*PRICES, "volume", "adj_close"), np.nan))
    edit(frame, "CCC", 32, close=np.inf)
    edit(frame, "DDD", 33, adj_close=np.nan)
    edit(frame, "DDD", 0, adj_close=np.inf)
    edit(frame, "EEE", range(80), adj_close=np.nan)  # never had any
    return frame


def impossible(frame: pd.DataFrame) -> pd.DataFrame:
    scale(frame, "AAA", 30, 0.9, "high")
    scale(frame, "BBB", 31, 1.1, "low")
    return frame


def extreme(frame: pd.DataFrame) -> pd.DataFrame:
    scale(frame, "AAA", 30, 1e5, *PRICES, "adj_close")
    scale(frame, "BBB", 31, 0.01, "low")
    return frame


def glitch(frame: pd.DataFrame) -> pd.DataFrame:
    scale(frame, "AAA", 30, 12.0, *PRICES, "adj_close")
    return frame


def jump(frame: pd.DataFrame) -> pd.DataFrame:
    """A ticker that another company took over on day 40, at twelve times the price."""
    scale(frame, "AAA", range(40, 80), 12.0, *PRICES, "adj_close")
    return frame


def pending(frame: pd.DataFrame) -> pd.DataFrame:
    scale(frame, "AAA", range(77, 80), 12.0, *PRICES, "adj_close")
    return frame


def ragged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([row(symbol, 79) for symbol in SYMBOLS[3:]])


def zero_volume(frame: pd.DataFrame) -> pd.DataFrame:
    edit(frame, "AAA", [30, 40], volume=0.0)
    return frame


def stale(frame: pd.DataFrame) -> pd.DataFrame:
    first = frame.loc[row("AAA", 30)]
    edit(frame, "AAA", range(31, 43), **{name: first[name] for name in (*PRICES, "adj_close")})
    return frame  # the 10th, 11th and 12th unmoved day: 40, 41, 42


def weekend(frame: pd.DataFrame) -> pd.DataFrame:
    extra = frame.loc[[row("AAA", 30)]].assign(date=np.datetime64("2020-02-15", "s"))
    return pd.concat([frame, extra], ignore_index=True)


def equal_twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.loc[[row("AAA", 30)]]], ignore_index=True)


def conflict(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.loc[[row("AAA", 30)]].assign(close=lambda b: b["open"])], ignore_index=True)


def holiday(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([row(symbol, 30) for symbol in SYMBOLS[1:]])


def gap(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([row("AAA", day) for day in range(30, 35)])


def short(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([row("FFF", day) for day in range(80) if day != 30])


def sparse(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([row("FFF", day) for day in range(80) if day % 3])


def split(frame: pd.DataFrame) -> pd.DataFrame:
    """Two for one on day 50, in no field adjusted."""
    scale(frame, "AAA", range(50, 80), 0.5, *PRICES)
    scale(frame, "AAA", range(50, 80), 2.0, "volume")
    return frame.drop(columns="adj_close")


def crash(frame: pd.DataFrame) -> pd.DataFrame:
    """Half the value lost overnight on eight times the volume."""
    scale(frame, "AAA", range(50, 80), 0.5, *PRICES)
    scale(frame, "AAA", [50], 8.0, "volume")
    return frame.drop(columns="adj_close")


def halt(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(tradable=frame.index != row("AAA", 30))


PLANTED = {
    nonpositive: ("nonpositive", "mask", {("AAA", 30), ("BBB", 31), ("CCC", 32), ("DDD", 33)}),
    missing: ("missing", "mask", {("AAA", 30), ("BBB", 31), ("CCC", 32), ("DDD", 33), ("DDD", 0)}),
    impossible: ("impossible", "mask", {("AAA", 30), ("BBB", 31)}),
    extreme: ("extreme", "mask", {("AAA", 30), ("BBB", 31)}),
    glitch: ("glitch", "mask", {("AAA", 30)}),
    jump: ("jump", "cut", {("AAA", 40)}),
    pending: ("pending", "mask", {("AAA", 77)}),
    ragged: ("ragged", "drop", {("", 79)}),
    zero_volume: ("zero_volume", "untradable", {("AAA", 30), ("AAA", 40)}),
    stale: ("stale", "untradable", {("AAA", 40), ("AAA", 41), ("AAA", 42)}),
    weekend: ("weekend", "drop", {("AAA", "2020-02-15")}),
    equal_twice: ("duplicate", "drop", {("AAA", 30)}),
    conflict: ("duplicate", "mask", {("AAA", 30)}),
    holiday: ("holiday", "drop", {("", 30)}),
    gap: ("gap", "keep", {("AAA", 35)}),
    short: ("short", "drop", {("FFF", 30)}),
    sparse: ("coverage", "drop", {("FFF", 0)}),
    split: ("split", "repair", {("AAA", 50)}),
    crash: ("suspect", "keep", {("AAA", 50)}),
    halt: ("halted", "untradable", {("AAA", 30)}),
}


def places(report: Report) -> set[tuple[str, str, str]]:
    """Every place of a report, a run of days as its single days."""
    days = pd.to_datetime(DAYS)
    found = set()
    for finding in report.findings:
        for place in finding.places:
            run = days[(days >= place.date) & (days <= (place.last or place.date))]
            found |= {
                (finding.check, place.asset, day) for day in (run.strftime("%Y-%m-%d") if len(run) else [place.date])
            }
    return found


def dated(places_: set[tuple[str, Any]]) -> set[tuple[str, str]]:
    return {(a, d if isinstance(d, str) else str(DAYS[d])[:10]) for a, d in places_}


def test_clean_data_has_no_findings_and_is_unchanged() -> None:
    frame = market()
    panel, report = clean(frame)
    assert report.findings == ()
    assert not report.changed
    assert "nothing found" in report.table()
    assert panel.fingerprint == Panel.from_frame(frame).fingerprint
    assert (report.rows, report.days, report.assets, report.bars, report.tradable) == (480, 80, 6, 480, 480)


@pytest.mark.parametrize("dirt", PLANTED, ids=lambda dirt: dirt.__name__)
def test_each_dirt_is_reported_once_where_it_was_planted(dirt: Any) -> None:
    check, treatment, expected = PLANTED[dirt]
    panel, report = clean(dirt(market()))
    assert places(report) == {(check, *place) for place in dated(expected)}
    finding = report[check]
    assert finding is not None
    assert (finding.treatment, finding.count) == (treatment, len(expected))
    if check not in ("holiday", "ragged"):
        assert finding.by_asset == pd.Series([asset for asset, _ in expected]).value_counts().to_dict()
    if treatment in ("mask", "untradable") and dirt is not pending:
        whole = Panel.from_frame(market())
        for day, asset in np.ndindex(panel.tradable.shape):
            hit = (panel.assets[asset], str(panel.dates[day])) in dated(expected)
            assert panel.tradable[day, asset] == (not hit)
            untouched = not hit or treatment == "untradable"
            if dirt is not stale and not (untouched and dirt is zero_volume):
                assert np.array_equal(panel["close"][day, asset], whole["close"][day, asset]) == untouched
                never = dirt is missing and panel.assets[asset] == "EEE"
                assert np.isnan(panel["adj_close"][day, asset]) == (not untouched or never)
            assert panel["mood"][day, asset] == whole["mood"][day, asset]


REFUSABLE = [d for d in PLANTED if PLANTED[d][0] != "halted" and d is not equal_twice]


@pytest.mark.parametrize("dirt", REFUSABLE, ids=lambda dirt: dirt.__name__)
def test_every_rule_can_refuse_and_names_the_first_place(dirt: Any) -> None:
    check, _, expected = PLANTED[dirt]
    first = min(dated(expected), key=lambda place: place[1])
    with pytest.raises(
        ValueError, match=f"check '{check}' found {len(expected)} places, first {' '.join(first).strip()}"
    ):
        clean(dirt(market()), replace(Rules(), **{check: "refuse"}))


KEEPABLE = [
    "weekend",
    "impossible",
    "extreme",
    "glitch",
    "jump",
    "pending",
    "split",
    "holiday",
    "ragged",
    "short",
    "coverage",
]


@pytest.mark.parametrize("check", KEEPABLE)
def test_keep_reports_and_changes_nothing(check: str) -> None:
    dirt = next(d for d in PLANTED if PLANTED[d][0] == check)
    frame = dirt(market())
    others = Rules(jump="keep", glitch="keep", holiday="keep", ragged="keep")
    panel, report = clean(frame, replace(others, **{check: "keep"}))
    assert report[check] is not None
    assert not report.changed
    assert panel.fingerprint == Panel.from_frame(frame).fingerprint


def test_zero_volume_and_stale_bars_can_stay_tradable() -> None:
    panel, report = clean(zero_volume(market()), Rules(zero_volume="keep"))
    assert panel.tradable.all()
    assert not report.changed
    assert clean(stale(market()), Rules(stale="keep"))[0].tradable.all()


def test_repairs_restore_what_the_other_values_say() -> None:
    truth = Panel.from_frame(market())
    panel, _ = clean(split(market()))
    halved = truth["close"].copy()
    halved[:, 0] /= 2  # in units of the new shares
    np.testing.assert_allclose(panel["close"], halved, rtol=1e-12)
    np.testing.assert_allclose(panel["volume"][:, 0], 2 * truth["volume"][:, 0], rtol=1e-12)
    panel, _ = clean(impossible(market()), Rules(impossible="repair"))
    assert panel["high"][30, 0] == max(truth["open"][30, 0], truth["close"][30, 0])
    assert panel.tradable.all()
    panel, _ = clean(conflict(market()), Rules(duplicate="last"))
    assert panel["close"][30, 0] == truth["open"][30, 0]


def test_a_bar_is_impossible_on_either_side_and_beyond_rounding() -> None:
    bars = np.array(
        [
            [10.0, 12.0, 9.0, 11.0],  # open, high, low, close
            [10.0, 10.9, 9.0, 11.0],  # high below the close
            [11.0, 10.9, 9.0, 10.0],  # high below the open
            [10.0, 12.0, 10.1, 11.0],  # low above the open
            [11.0, 12.0, 10.1, 10.0],  # low above the close
            [10.0, 9.0, 12.0, 11.0],  # high below low
            [10.0, 10.9999, 10.0001, 11.0],  # rounding
        ]
    )
    assert np.flatnonzero(impossible_bars(bars, 1e-4)).tolist() == [1, 2, 3, 4, 5]


def test_few_listed_assets_make_no_holiday_but_no_bar_at_all_does() -> None:
    observed = np.array([[True, False, False, False], [False, False, False, False], [True, True, True, True]])
    assert holidays(observed, np.ones((3, 4), bool), 0.5).tolist() == [False, True, False]
    wide = np.tile(observed, 2)
    assert holidays(wide, np.ones((3, 8), bool), 0.5).tolist() == [True, True, False]


def test_stale_runs_skip_days_without_a_bar() -> None:
    close = np.array([[5.0], [5.0], [np.nan], [5.0], [6.0], [6.0]])
    assert stale_run(close[None], None, np.isfinite(close))[:, 0].tolist() == [0, 1, 0, 2, 0, 1]
    volume = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [0.0]])
    bars = np.stack([close + np.arange(6.0)[:, None], close])  # opens move
    assert stale_run(bars, volume, np.isfinite(close))[:, 0].tolist() == [0, 0, 0, 1, 0, 1]


CAUSAL = Rules(
    **dict.fromkeys(("split", "glitch", "pending", "jump", "holiday", "ragged", "short", "coverage"), "keep")  # type: ignore[arg-type]
)


@settings(max_examples=40)
@given(
    dirts=st.lists(st.sampled_from([d for d in PLANTED if PLANTED[d][1] in ("mask", "untradable")]), max_size=6),
    noise=st.lists(st.tuples(st.integers(0, 479), st.floats(0.01, 100.0)), max_size=20),
    cut=st.integers(1, 79),
)
def test_cleaning_never_looks_ahead(dirts: list[Any], noise: list[tuple[int, float]], cut: int) -> None:
    frame = market()
    for place, factor in noise:
        frame.loc[place, ["open", "high", "low", "close", "adj_close"]] *= factor
    for dirt in dirts:
        frame = dirt(frame.reset_index(drop=True))
    whole, _ = clean(frame, CAUSAL)
    part, _ = clean(frame[frame["date"] < DAYS[cut]], CAUSAL)
    whole = whole.select(assets=part.assets)
    assert np.array_equal(part.values, whole.values[:cut], equal_nan=True)
    assert np.array_equal(part.tradable, whole.tradable[:cut])


def test_a_split_repair_changes_no_return_of_the_past() -> None:
    frame = split(market())
    whole, part = clean(frame)[0], clean(frame[frame["date"] < DAYS[50]])[0]
    before, after = part["close"][1:] / part["close"][:-1], whole["close"][1:50] / whole["close"][:49]
    np.testing.assert_allclose(before, after, rtol=1e-12)


@settings(max_examples=60)
@given(
    cells=st.dictionaries(
        st.tuples(st.sampled_from(SYMBOLS), st.integers(1, 78)),
        st.sampled_from(["nan", "zero", "negative", "high", "huge", "volume", "twice"]),
        min_size=1,
        max_size=12,
    )
)
def test_random_dirt_is_found_cell_by_cell(cells: dict[tuple[str, int], str]) -> None:
    frame = market()
    copies = []
    for (symbol, day), kind in cells.items():
        if kind == "nan":
            edit(frame, symbol, day, close=np.nan)
        elif kind == "zero":
            edit(frame, symbol, day, open=0.0)
        elif kind == "negative":
            edit(frame, symbol, day, adj_close=-1.0)
        elif kind == "high":
            scale(frame, symbol, day, 0.5, "high")
        elif kind == "huge":
            scale(frame, symbol, day, 1e6, *PRICES)
        elif kind == "volume":
            edit(frame, symbol, day, volume=0.0)
        else:
            copies.append(frame.loc[[row(symbol, day)]].assign(close=77.0))
    panel, report = clean(pd.concat([frame, *copies], ignore_index=True))
    names = {"nan": "missing", "zero": "nonpositive", "negative": "nonpositive", "high": "impossible"}
    names |= {"huge": "extreme", "volume": "zero_volume", "twice": "duplicate"}
    counts = pd.Series([names[kind] for kind in cells.values()]).value_counts().to_dict()
    assert {finding.check: finding.count for finding in report.findings} == counts
    for day, asset in np.ndindex(panel.tradable.shape):
        kind = cells.get((panel.assets[asset], day))
        assert panel.tradable[day, asset] == (kind is None)
        assert np.isnan(panel["close"][day, asset]) == (kind not in (None, "volume"))


def test_closes_alone_can_be_cleaned() -> None:
    frame = market()[["date", "symbol", "close"]]
    assert clean(frame)[1].findings == ()
    frame.loc[row("AAA", 30), "close"] = -1.0
    panel, report = clean(frame)
    assert places(report) == {("nonpositive", "AAA", str(DAYS[30])[:10])}
    assert np.isnan(panel["close"][30, 0])


def test_report_survives_json_and_reads_as_a_table() -> None:
    _, report = clean(nonpositive(split(market())))
    back = Report.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False)))
    assert back == report
    lines = report.table().splitlines()
    assert len(lines) == 2 + len(report.findings)
    assert "AAA 2020-03-11 (2:1 guessed, confidence" in report.table()
    assert report.per_asset()["AAA"] == {"nonpositive": 1, "split": 1}
    with pytest.raises(ValueError, match="quality report"):
        Report.from_json({"findings": []})


@pytest.mark.parametrize(
    ("frame", "rules", "part"),
    [
        (market().drop(columns="close"), Rules(), "no column 'close'"),
        (market().assign(close=np.nan), Rules(), "nothing is left"),
        (market(), Rules(min_days=200), "lower min_days"),
        (market().assign(date="soon"), Rules(), "date"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(frame: pd.DataFrame, rules: Rules, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        clean(frame, rules)


def test_rules_refuse_unknown_treatments_and_senseless_thresholds() -> None:
    with pytest.raises(ValueError, match="impossible is 'repare', expected one of 'mask', 'repair'"):
        Rules(impossible="repare")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"max_jump is 1\.0"):
        Rules(max_jump=1.0)


def test_weekend_days_on_which_the_market_traded_are_sessions() -> None:
    saturday = np.datetime64("2020-02-15", "s")
    extra = market().iloc[[row(symbol, 32) for symbol in SYMBOLS]].assign(date=saturday)
    frame = pd.concat([market(), extra], ignore_index=True)
    panel, report = clean(frame)
    assert np.datetime64("2020-02-15") in panel.dates
    assert report["weekend"] is None
    idle = pd.concat([market(), extra.assign(volume=0.0)], ignore_index=True)  # rows of a day without trades
    assert len(clean(idle)[0]) == 80


def test_a_market_that_never_closes_keeps_its_weekends() -> None:
    days = pd.date_range("2020-01-01", periods=60).to_numpy().astype("datetime64[s]")
    panel, report = clean(market(days, ("BTC",)))
    assert len(panel) == 60
    assert report.findings == ()


def test_the_last_day_twice_with_another_volume_is_one_bar() -> None:
    frame = market()
    again = frame.loc[[row("AAA", 79)]].assign(volume=lambda bar: bar["volume"] * 1.01)
    panel, report = clean(pd.concat([frame, again], ignore_index=True))
    assert panel["close"][79, 0] == frame.loc[row("AAA", 79), "close"]
    assert panel["volume"][79, 0] == again["volume"].iloc[0]
    assert (report["duplicate"].treatment, report["duplicate"].count) == ("drop", 1)  # type: ignore[union-attr]


def test_a_volume_that_is_never_known_halts_nothing() -> None:
    frame = market()
    frame.loc[frame["symbol"] == "AAA", "volume"] = 0.0
    panel, report = clean(frame)
    assert panel.tradable.all()
    assert report["zero_volume"] is None
    assert (said := report["no_volume"]) is not None, "that halts cannot be seen is said"
    assert (said.treatment, dict(said.by_asset)) == ("keep", {"AAA": 1})


def test_an_exchange_calendar_decides_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = SimpleNamespace(sessions=pd.DatetimeIndex(DAYS[:79]))
    module = SimpleNamespace(get_calendar_names=lambda: ["XNYS"], get_calendar=lambda name, start, end: calendar)
    monkeypatch.setitem(sys.modules, "exchange_calendars", module)
    panel, report = clean(market(), Rules(calendar="XNYS"))
    assert len(panel) == 79
    assert report["calendar"].count == 1  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="no calendar 'XMOON'"):
        clean(market(), Rules(calendar="XMOON"))
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(ValueError, match="needs the package exchange_calendars"):
        clean(market(), Rules(calendar="XNYS"))


def test_a_ragged_end_is_told_from_delistings_and_holidays() -> None:
    frame = ragged(market())
    earlier = frame.drop([row("AAA", 78), row("BBB", 78)])
    panel, report = clean(earlier)
    assert len(panel) == 78
    assert report["ragged"].count == 2  # type: ignore[union-attr]
    one = market().drop([row("AAA", 79)])  # one of six may have been delisted
    assert len(clean(one)[0]) == 80


def test_every_place_is_in_the_report() -> None:
    rng = np.random.default_rng(0)
    frame = market()
    hit = rng.choice(480, 60, replace=False)
    frame.loc[hit, "volume"] = 0.0
    finding = clean(frame)[1]["zero_volume"]
    assert finding is not None
    assert sum(place.bars for place in finding.places) == finding.count == 60
