"""qlib's store: hand-written files as public data has them, and the round trip of our own."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from market.panel import Panel
from market.sources import Source
from market.sources.qlib import QlibStore, write_qlib

DAYS = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09"]
NAN = float("nan")


def feature(root: Path, symbol: str, field: str, first: int, values: list[float]) -> Path:
    file = root / "features" / symbol / f"{field}.day.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack(f"<{1 + len(values)}f", first, *values))
    return file


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two stocks as in public data: one leaves the index and comes back, one is suspended and starts late."""
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "day.txt").write_text("\n".join(DAYS) + "\n")
    (tmp_path / "calendars" / "day_future.txt").write_text("\n".join([*DAYS, "2020-01-10"]) + "\n")
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments" / "all.txt").write_text(
        "SH600000\t1999-11-10\t2099-12-31\nSZ000001\t2020-01-03\t2020-01-08\n"
    )
    (tmp_path / "instruments" / "csi300.txt").write_text(
        "SH600000\t2005-01-01\t2020-01-03\nSH600000\t2020-01-08\t2020-01-08\n\nSZ000001\t2020-01-06\t2099-12-31\n"
    )
    feature(tmp_path, "sh600000", "close", 0, [10, 11, 12, 13, 14, 15])
    feature(tmp_path, "sh600000", "volume", 0, [100, 200, 300, 400, 500, 600])
    feature(tmp_path, "sz000001", "close", 1, [20, NAN, 22, 23])
    feature(tmp_path, "sz000001", "factor", 1, [0.5, 0.5, 0.5, 0.5])
    return tmp_path


def test_is_a_source(store: Path) -> None:
    assert isinstance(QlibStore(str(store)), Source)


def test_hand_written_store(store: Path) -> None:
    frame = QlibStore(str(store)).read()
    assert list(frame.columns) == ["date", "symbol", "close", "factor", "volume", "listed"]
    first = frame[frame["symbol"] == "SH600000"]
    assert first["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS  # the future calendar is not read
    assert first["close"].tolist() == [10, 11, 12, 13, 14, 15]
    assert first["factor"].isna().all()
    second = frame[frame["symbol"] == "SZ000001"]
    assert second["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS[1:5]
    np.testing.assert_array_equal(second["close"], [20, NAN, 22, 23])
    assert frame["listed"].all()


def test_membership_is_point_in_time_and_history_before_it_stays(store: Path) -> None:
    frame = QlibStore(str(store), instruments="csi300").read()
    first = frame[frame["symbol"] == "SH600000"]
    assert first["listed"].tolist() == [True, True, False, False, True, False]
    assert first["close"].notna().all()
    second = frame[frame["symbol"] == "SZ000001"]
    assert second["listed"].tolist() == [False, True, True, True, True]  # the last one is a member without a bar
    panel = Panel.from_frame(frame)
    assert panel.listed[:, 1].tolist() == [False, False, True, True, True, False]
    assert panel.tradable[:, 1].tolist() == [False, False, False, True, True, False]


def test_a_suspended_day_cannot_be_traded(store: Path) -> None:
    feature(store, "sz000001", "volume", 1, [1, NAN, 1, 1])
    panel = Panel.from_frame(QlibStore(str(store)).read())
    assert panel.tradable[:, 1].tolist() == [False, True, False, True, True, False]
    assert panel.listed[:, 1].tolist() == [False, True, True, True, True, False]


def test_fields_and_days_are_chosen(store: Path) -> None:
    frame = QlibStore(str(store), fields=("volume", "close"), start="2020-01-03", stop="2020-01-06").read()
    assert list(frame.columns) == ["date", "symbol", "volume", "close", "listed"]
    assert frame["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS[1:3] * 2


def test_a_listed_symbol_without_any_file_is_not_forgotten(store: Path) -> None:
    with (store / "instruments" / "csi300.txt").open("a") as file:
        file.write("SH600001\t2020-01-03\t2020-01-06\n")
    frame = QlibStore(str(store), instruments="csi300").read()
    gone = frame[frame["symbol"] == "SH600001"]
    assert gone["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS[1:3]
    assert gone["close"].isna().all()
    assert gone["listed"].all()


@pytest.mark.parametrize(
    ("calendar", "line"),
    [
        ("20200102\n20200103\n", "SH600000\t20200102\t20991231"),
        ("2020-01-02 00:00:00\n2020-01-03 00:00:00\n", "SH600000\t2020-01-02 00:00:00\t2099-12-31 00:00:00\tmore"),
    ],
)
def test_dates_as_other_tools_write_them(tmp_path: Path, calendar: str, line: str) -> None:
    for folder, name, text in (("calendars", "day.txt", calendar), ("instruments", "all.txt", line)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    feature(tmp_path, "sh600000", "close", 0, [1, 2])
    assert QlibStore(str(tmp_path)).read()["date"].dt.strftime("%Y-%m-%d").tolist() == DAYS[:2]


def test_folders_in_capitals_are_found(store: Path) -> None:
    (store / "features" / "sh600000").rename(store / "features" / "SH600000")
    assert QlibStore(str(store)).read()["close"].notna().sum() == 9


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("calendars/day.txt", "", r"day\.txt: it is empty"),
        ("calendars/day.txt", "2020-01-03\n2020-01-02\n", "2020-01-02 follows 2020-01-03"),
        ("calendars/day.txt", "2020-01-02\nsoon\n", r"day\.txt:2: 'soon' is not a day"),
        ("instruments/all.txt", "", r"all\.txt: it names no symbol; choose another list of all, csi300"),
        ("instruments/all.txt", "SH600000 2020-01-02 2020-01-03\n", r"all\.txt:1: .*separated by tabs"),
        ("instruments/all.txt", "SH600000\t2020-01-02\tnever\n", r"all\.txt:1: 'never' is not a day"),
        ("instruments/all.txt", "SH600000\t2020-01-03\t2020-01-02\n", "ends on 2020-01-02, before it starts"),
        (
            "instruments/all.txt",
            "../../x\t2020-01-02\t2020-01-03\n",
            r"all\.txt:1: symbol '\.\./\.\./x' cannot name a folder",
        ),
        ("instruments/all.txt", "..\t2020-01-02\t2020-01-03\n", r"'\.\.' cannot name a folder"),
        ("instruments/all.txt", "a\\b\t2020-01-02\t2020-01-03\n", "cannot name a folder"),
        ("instruments/all.txt", "SH1\t2020-01-02\t2020-01-03\n", r"features: no \.day\.bin file of any of 1 symbols"),
    ],
)
def test_damaged_text_files_are_named(store: Path, file: str, content: str, told: str) -> None:
    (store / file).write_text(content)
    with pytest.raises(ValueError, match=told):
        QlibStore(str(store)).read()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"sh600000.close\.day\.bin: 0 bytes"),
        (struct.pack("<3f", 0, 1, 2)[:-1], r"11 bytes, expected a positive multiple of 4"),
        (struct.pack("<3f", 5, 1, 2), "2 values from calendar index 5, but the calendar has 6 days"),
        (struct.pack("<3f", -1, 1, 2), "calendar index -1"),
        (struct.pack("<3f", 0.5, 1, 2), r"calendar index 0\.5"),
        (struct.pack("<3f", NAN, 1, 2), "calendar index nan"),
    ],
)
def test_damaged_value_files_are_named(store: Path, content: bytes, told: str) -> None:
    (store / "features" / "sh600000" / "close.day.bin").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        QlibStore(str(store)).read()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"instruments": "csi30"}, "no instrument list 'csi30'; did you mean 'csi300'. it has all, csi300"),
        ({"instruments": "../calendars/day"}, "no instrument list"),
        ({"fields": ("close", "vwap")}, "no field 'vwap'; it has close, factor, volume"),
        ({"start": "2021-01-01"}, "no bars from 2021-01-01 to 2020-01-09; the calendar covers 2020-01-02"),
    ],
)
def test_wrong_questions_are_answered(store: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        QlibStore(str(store), **options).read()


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"day\.txt: no such file; path must hold calendars"):
        QlibStore(str(tmp_path)).read()


def panel_of(values: Any, listed: Any, tradable: Any) -> Panel:
    days, assets, fields = values.shape
    return Panel(
        np.array(DAYS[:days], dtype="datetime64[D]"),
        ("AAPL", "BRK-B", "PRN", "^GSPC")[:assets],
        ("close", "volume", "adj_close")[:fields],
        values,
        listed,
        tradable & listed,
    )


SHAPE = (6, 4, 3)


@given(
    hnp.arrays(np.float32, SHAPE, elements=st.floats(0.125, 2**20, width=32)),
    hnp.arrays(bool, SHAPE[:2]),
    hnp.arrays(bool, SHAPE[:2]),
    hnp.arrays(bool, SHAPE[:2]),
)
@settings(max_examples=60)
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, values: Any, absent: Any, listed: Any, tradable: Any
) -> None:
    bars = np.where(absent[:, :, None], np.float32(np.nan), values).astype(np.float64) * (1 + 1e-9)
    bars[0], bars[-1], listed[0], listed[-1] = 1.5, 2.5, True, True  # an asset spans its first to its last close
    panel = panel_of(bars, listed, tradable & ~absent)
    path = tmp_path_factory.mktemp("qlib") / "store"
    write_qlib(panel, path)
    again = Panel.from_frame(QlibStore(str(path)).read()).select(fields=panel.fields)
    assert again.assets == panel.assets
    np.testing.assert_array_equal(again.dates, panel.dates)
    suspended = (panel.listed & ~panel.tradable)[:, :, None]
    suspended[[0, -1]] = False
    np.testing.assert_array_equal(again.values, np.where(suspended, np.nan, panel.values).astype(np.float32))
    np.testing.assert_array_equal(again.listed, panel.listed)
    np.testing.assert_array_equal(again.tradable, panel.tradable)


def bars() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": pd.to_datetime([*DAYS, *DAYS[2:5]]),
            "symbol": ["AAPL"] * 6 + ["MSFT"] * 3,
            "close": [1.25, 2, 3, 4, 5, 6, 7, 8, 9],
            "volume": [1.0] * 9,
        }
    )


def test_written_bytes_are_what_qlib_reads(tmp_path: Path) -> None:
    membership = pd.DataFrame({"symbol": ["AAPL", "AAPL"], "start": DAYS[:2], "end": [DAYS[0], DAYS[3]]})
    write_qlib(bars(), tmp_path / "store", {"top1": membership})
    root = tmp_path / "store"
    assert (root / "calendars" / "day.txt").read_text().split() == DAYS
    assert (root / "instruments" / "all.txt").read_text() == (
        "AAPL\t2020-01-02\t2020-01-09\nMSFT\t2020-01-06\t2020-01-08\n"
    )
    assert (root / "instruments" / "top1.txt").read_text() == (
        "AAPL\t2020-01-02\t2020-01-02\nAAPL\t2020-01-03\t2020-01-07\n"
    )
    assert (root / "features" / "msft" / "close.day.bin").read_bytes() == struct.pack("<4f", 2, 7, 8, 9)
    frame = QlibStore(str(root), instruments="top1").read()
    assert frame["listed"].tolist() == [True] * 4 + [False] * 2
    assert frame["tradable"].dtype == frame["listed"].dtype == bool


def test_a_halt_is_suspended_for_qlib_and_its_change_spans_it(tmp_path: Path) -> None:
    frame = bars().assign(tradable=True)
    frame.loc[1, "tradable"] = False  # AAPL on the second day, whose price is carried
    write_qlib(frame, tmp_path / "store")
    close, change = (
        np.fromfile(tmp_path / "store" / "features" / "aapl" / f"{name}.day.bin", "<f4")[1:]
        for name in ("close", "change")
    )
    assert np.isnan(close).tolist() == [False, True, False, False, False, False]
    np.testing.assert_allclose(change, [np.nan, np.nan, 3 / 1.25 - 1, 1 / 3, 1 / 4, 1 / 5], rtol=1e-6)


def test_names_that_windows_keeps_are_evaded_as_qlib_does(tmp_path: Path) -> None:
    frame = bars().replace({"MSFT": "PRN"})
    write_qlib(frame, tmp_path / "store")
    assert sorted(path.name for path in (tmp_path / "store" / "features").iterdir()) == ["_qlib_prn", "aapl"]
    assert set(QlibStore(str(tmp_path / "store")).read()["symbol"]) == {"AAPL", "PRN"}


@pytest.mark.parametrize(
    ("change", "lists", "told"),
    [
        ({"MSFT": "aapl"}, {}, "differ only in capitals"),
        ({"MSFT": "../x"}, {}, "cannot name a folder"),
        ({}, {"../x": ["AAPL"]}, "instrument list '../x' cannot be written"),
        ({}, {"all": ["AAPL"]}, "instrument list 'all' cannot be written"),
        ({}, {"top": ["TSLA"]}, "'top' names 'TSLA', which the panel lacks"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, change: Any, lists: Any, told: str) -> None:
    tables = {
        name: pd.DataFrame({"symbol": symbols, "start": DAYS[0], "end": DAYS[1]}) for name, symbols in lists.items()
    }
    with pytest.raises(ValueError, match=told):
        write_qlib(bars().replace(change), tmp_path / "store", tables)
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_cannot_name_a_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="field 'adj close' cannot name a file"):
        write_qlib(bars().assign(**{"adj close": 1.0}), tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_not_overwritten(tmp_path: Path) -> None:
    write_qlib(bars(), tmp_path / "store")
    before = (tmp_path / "store" / "features" / "aapl" / "close.day.bin").read_bytes()
    with pytest.raises(ValueError, match="exists; choose another folder"):
        write_qlib(bars().assign(close=0.5), tmp_path / "store")
    assert (tmp_path / "store" / "features" / "aapl" / "close.day.bin").read_bytes() == before
