from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.sources.synthetic import Events, Synthetic
from market.storage import fingerprint, read_arrays, write_arrays

EVENTS = Events(listings=0.4, delistings=0.4, halts=0.03, splits=0.01, adjusted=False)
PANEL = Panel.from_frame(Synthetic(stocks=7, days=50, events=EVENTS, seed=1).read(), {"name": "test"})


@pytest.fixture
def panel() -> Panel:
    return replace(PANEL, values=PANEL.values.copy())


def assert_equal(left: Panel, right: Panel) -> None:
    np.testing.assert_array_equal(left.dates, right.dates)
    assert (left.assets, left.fields) == (right.assets, right.fields)
    assert left.values.dtype == right.values.dtype
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.listed, right.listed)
    np.testing.assert_array_equal(left.tradable, right.tradable)


def rewritten(panel: Panel, path, **changes) -> None:
    """A file that is sound but for the header entries in `changes`; None leaves an entry out."""
    panel.save(path)
    arrays, header = read_arrays(path, "panel", 1)
    header = {key: value for key, value in (header | changes).items() if value is not None}
    write_arrays(path, {name: np.array(array) for name, array in arrays.items()}, header)


def test_a_file_gives_the_panel_back(panel, tmp_path):
    digest = panel.save(tmp_path / "panel.safetensors")
    loaded = Panel.load(tmp_path / "panel.safetensors")
    assert_equal(loaded, panel)
    assert loaded.source == {"name": "test"}
    assert loaded.fingerprint == panel.fingerprint == digest
    assert not loaded.values.flags.writeable
    small = replace(panel, values=panel.values.astype(np.float32))
    assert small.save(tmp_path / "small") != digest
    assert_equal(Panel.load(tmp_path / "small"), small)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 40), st.sampled_from(["absent", "flat"]))
def test_a_frame_gives_the_panel_back_in_any_row_order(seed, stocks, days, halted_bars):
    frame = Synthetic(stocks=stocks, days=days, seed=seed, events=replace(EVENTS, halted_bars=halted_bars)).read()
    panel = Panel.from_frame(frame)
    assert_equal(Panel.from_frame(panel.to_frame()), panel)
    shuffled = frame.sample(frac=1, random_state=seed)
    shuffled = shuffled[list(np.random.default_rng(seed).permutation(shuffled.columns))]
    assert_equal(Panel.from_frame(shuffled), panel)
    for row in frame.sample(min(5, len(frame)), random_state=seed).itertuples():
        day = np.flatnonzero(panel.dates == np.datetime64(row.date, "D"))
        assert panel["close"][day, panel.asset_index(row.symbol)] == row.close


def test_masks_of_a_frame_by_hand():
    frame = pd.DataFrame(
        [
            ("2020-01-02", "A", 1.0, 5),
            ("2020-01-03", "A", np.nan, 5),  # listed, no close
            ("2020-01-06", "A", 1.2, 0),  # no volume
            ("2020-01-07", "B", 9.0, 5),
            ("2020-01-08", "A", 1.3, 5),  # no row the day before
        ],
        columns=["date", "symbol", "close", "volume"],
    )
    panel = Panel.from_frame(frame)
    assert panel.fields == ("close", "volume")
    np.testing.assert_array_equal(panel.listed.T, [[1, 1, 1, 1, 1], [0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(panel.tradable.T, [[1, 0, 0, 0, 1], [0, 0, 0, 1, 0]])
    narrowed = Panel.from_frame(
        frame.assign(listed=[True, True, False, True, True], tradable=[False, True, True, True, True])
    )
    np.testing.assert_array_equal(narrowed.listed.T, [[1, 1, 0, 0, 1], [0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(narrowed.tradable.T, [[0, 0, 0, 0, 1], [0, 0, 0, 1, 0]])


def test_fields_are_ordered_and_text_is_left_out():
    frame = pd.DataFrame(
        {"date": ["2020-01-02"], "symbol": ["A"], "factor": [2], "close": [1.0], "open": [1], "name": ["x"]}
    )
    panel = Panel.from_frame(frame)
    assert panel.fields == ("open", "close", "factor")
    assert panel.source == {"ignored_columns": ["name"]}
    assert "close" in panel
    assert "volume" not in panel


BARS = pd.DataFrame({"date": ["2020-01-02", "2020-01-03"], "symbol": "A", "close": [1.0, 2.0]}, index=[7, 3])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (BARS.drop(columns="close"), r"no column 'close' among \['date', 'symbol'\]; rename"),
        (BARS.iloc[:0], "it has no rows"),
        (BARS.assign(date="2020-01-02"), r"A has 2 rows on 2020-01-02 \(1 such cells\); keep one"),
        (BARS.assign(date=["2020-01-02", "someday"]), "^frame: column 'date' holds something that is not a date.*$"),
        (BARS.assign(date=[20200102, 20200103]), "column 'date' holds numbers such as 20200102; turn them into dates"),
        (BARS.assign(date=["2020-01-02", None]), "column 'date' is empty in 1 rows"),
        (
            BARS.assign(date=["2020-01-02 00:00", "2020-01-03 15:30"]),
            "holds 2020-01-03 15:30:00, a time within the day",
        ),
        (BARS.assign(symbol=["A", None]), "column 'symbol' is empty in 1 rows"),
        (BARS.assign(close=["1.0", "x"]), "column 'close' holds text, expected numbers"),
        (BARS.assign(listed=["True", "False"]), "column 'listed' holds something other than true and false"),
        (BARS.assign(tradable=[True, None]), "column 'tradable' holds something other than true and false"),
        (pd.concat([BARS, BARS[["close"]]], axis=1), "frame: columns must be distinct, but 'close' stands twice"),
    ],
)
def test_wrong_frames_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        Panel.from_frame(frame)


@pytest.mark.parametrize(
    "dates",
    [
        pd.to_datetime(BARS["date"]),
        pd.to_datetime(BARS["date"]).dt.date,
        pd.to_datetime(BARS["date"]).dt.tz_localize("America/New_York"),
        pd.to_datetime(BARS["date"]).dt.tz_localize("Asia/Shanghai"),
        BARS["date"].astype("category"),
        ["2020-01-02 00:00:00-05:00", "2020-01-03 00:00:00-04:00"],  # winter and summer time, as yfinance's CSV has it
        ["20200102", "20200103"],
    ],
)
def test_a_day_is_what_the_clock_of_the_place_shows(dates):
    panel = Panel.from_frame(BARS.assign(date=dates))
    assert panel.dates.astype(str).tolist() == ["2020-01-02", "2020-01-03"]


@pytest.mark.parametrize("kind", ["float32", "Float64", "float64[pyarrow]", "object"])
def test_numbers_are_read_whatever_holds_them(kind):
    panel = Panel.from_frame(BARS.assign(close=BARS["close"].astype(kind), symbol=["A", "A"]))
    np.testing.assert_array_equal(panel["close"][:, 0], [1.0, 2.0])
    gap = Panel.from_frame(BARS.assign(volume=pd.array([None, 3], dtype="Int64"), close=[1.0, None]))
    np.testing.assert_array_equal(gap["volume"][:, 0], [np.nan, 3.0])
    assert Panel.from_frame(BARS.assign(**{"factor": 1}).rename(columns={"factor": 7})).fields == ("close", "7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: {"values": p.values[:-1]},
            r"values have shape \(49, 7, 6\), expected \(50 dates, 7 assets, 6 fields\)",
        ),
        (lambda p: {"values": np.zeros(p.shape, np.int64)}, "values have type int64, expected float64 or float32"),
        (lambda p: {"listed": p.listed[:, :3]}, r"listed is bool \(50, 3\), expected bool \(50, 7\)"),
        (lambda p: {"tradable": p.tradable.astype(float)}, "tradable is float64"),
        (lambda p: {"dates": p.dates.astype("datetime64[s]")}, r"dates are datetime64\[s\]"),
        (lambda p: {"dates": p.dates[::-1]}, "dates must increase, but .* follows"),
        (lambda p: {"dates": p.dates[[0, 0, *range(2, 50)]]}, "dates must increase, but 2010-01-04 follows 2010-01-04"),
        (
            lambda p: {"dates": np.where(np.arange(50) == 4, np.datetime64("NaT"), p.dates)},
            r"date 4 is not a day \(NaT\)",
        ),
        (lambda p: {"assets": ("S0",) * 7}, "assets must be distinct, but 'S0' stands twice"),
        (lambda p: {"fields": ("a", "b", "c", "d", "e", "a")}, "fields must be distinct, but 'a' stands twice"),
        (lambda p: {"listed": p.listed & False}, "S0 is tradable on 2010-01-04 without being listed"),
    ],
)
def test_parts_that_do_not_fit_are_refused(panel, change, message):
    with pytest.raises(ValueError, match=message):
        replace(panel, **change(panel))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version is 2, expected 1"),
        ({"kind": "states"}, "kind is 'states', expected 'panel'"),
        ({"assets": None}, "'assets' is missing; write the panel again"),
        ({"assets": "ABCDEFG"}, "assets are not a list of names"),
        ({"assets": ["A"]}, r"values have shape \(50, 7, 6\), expected \(50 dates, 1 assets"),
        ({"fields": 3}, "fields are not a list of names"),
        ({"dates": ["2020-01-01"]}, "expected \\(1 dates"),
        ({"dates": list(range(50))}, "dates are not a list of names"),
        ({"dates": ["2020-02-31"] * 50}, "dates holds '2020-02-31', expected a day as YYYY-MM-DD"),
        ({"source": [1]}, "source is a list, expected a JSON object"),
    ],
)
def test_hostile_files_are_refused_with_their_name(panel, tmp_path, changes, message):
    path = tmp_path / "file"
    rewritten(panel, path, **changes)
    with pytest.raises(ValueError, match=f"^{path}: .*{message}"):
        Panel.load(path)


def test_a_file_without_an_array_is_refused(panel, tmp_path):
    arrays = {"values": panel.values, "listed": panel.listed}
    write_arrays(tmp_path / "file", arrays, panel._header())
    with pytest.raises(ValueError, match="file: 'tradable' is missing"):
        Panel.load(tmp_path / "file")


def test_a_changed_value_is_seen_unless_verification_is_waived(panel, tmp_path):
    panel.save(tmp_path / "file")
    content = bytearray((tmp_path / "file").read_bytes())
    content[-1] ^= 1  # a mask
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="file: fingerprint does not match the content"):
        Panel.load(tmp_path / "file")
    assert Panel.load(tmp_path / "file", verify=False).shape == panel.shape
    assert fingerprint(panel._header(), panel._arrays()) == panel.fingerprint


def test_slices_and_fields_share_memory(panel):
    part = panel[10:20]
    assert len(part) == 10
    np.testing.assert_array_equal(part.dates, panel.dates[10:20])
    assert np.shares_memory(part.values, panel.values)
    assert np.shares_memory(panel["close"], panel.values)
    np.testing.assert_array_equal(panel["close"], panel.values[:, :, 3])
    with pytest.raises(ValueError, match="rows must stay consecutive, got a slice with step 2"):
        panel[::2]
    with pytest.raises(ValueError, match="no field 'vwap'; it has open, high"):
        panel["vwap"]


@given(st.dates(pd.Timestamp("2009-12-25").date(), pd.Timestamp("2010-03-25").date()), st.integers(0, 60))
def test_between_takes_both_days(start, length):
    stop = start + pd.Timedelta(days=length).to_pytimedelta()
    days = PANEL.between(str(start), str(stop)).dates.astype(str).tolist()
    assert days == [day for day in PANEL.dates.astype(str) if str(start) <= day <= str(stop)]


def test_days_that_are_not_are_refused(panel):
    assert panel.rows() == slice(0, 50)
    for text in ("2010", "2010-02", "soon", "2010-02-30", ""):
        with pytest.raises(ValueError, match=f"'{text}' is not a day; write it as YYYY-MM-DD"):
            panel.between(stop=text)


def test_select_orders_assets_and_fields(panel):
    part = panel.select(assets=["S3", "S0"], fields=["volume", "close"])
    assert part.assets == ("S3", "S0")
    np.testing.assert_array_equal(part["close"], panel["close"][:, [3, 0]])
    np.testing.assert_array_equal(part["volume"], panel["volume"][:, [3, 0]])
    np.testing.assert_array_equal(part.listed, panel.listed[:, [3, 0]])
    np.testing.assert_array_equal(part.tradable, panel.tradable[:, [3, 0]])
    with pytest.raises(ValueError, match="no asset 'XX' among 7: S0, S1"):
        panel.select(assets=["XX"])
    with pytest.raises(ValueError, match="no field 'XX'"):
        panel.select(fields=["XX"])
