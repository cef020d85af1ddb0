"""Symbols and days of a membership table are taken as they are written, and compared with those of the panel."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from market.preparation.lists import read_membership
from market.preparation.prepare import prepared
from market.preparation.quality import Rules

DAYS = pd.bdate_range("2020-01-01", periods=60)


def listed_days(names: list[str], table: Path, rules: Rules | None = None) -> dict[str, int]:
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"date": DAYS, "symbol": name, "close": 50 * np.exp(np.cumsum(rng.normal(0, 0.01, 60)))})
        for name in names
    ]
    panel, _ = prepared(pd.concat(rows), rules or Rules(), membership=read_membership(table))
    return dict(zip(panel.assets, panel.listed.sum(axis=0).tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("symbol,start,end\nNA,2019-01-01,\nNULL,,\nnan,,\n", {"NA": 60, "NULL": 60, "nan": 60}),
        ("symbol,start,end\n000001,2019-01-01,\n600519,,\n", {"000001": 60, "600519": 60}),
        ("Ticker;From;To\n A ;15/01/2020;\nB;20/01/2020;28/02/2020\n", {"A": 50, "B": 30}),
        ("symbol,start,end\nA,20200115,99991231\nB,20200101,None\n", {"A": 50, "B": 60}),
        ("symbol,start,end\nA,2020-01-15 00:00:00,9999-12-31 00:00:00\nB,NaT,\n", {"A": 50, "B": 60}),
    ],
)
def test_symbols_and_days_are_read_as_written(text: str, expected: dict[str, int], tmp_path: Path) -> None:
    table = tmp_path / "members.csv"
    table.write_text(text)
    assert listed_days(list(expected), table) == expected


def test_symbols_of_a_parquet_table_are_names_whatever_their_type(tmp_path: Path) -> None:
    table = tmp_path / "members.parquet"
    frame = pd.DataFrame({"symbol": ["000001", "NA"], "start": [None, "2019-01-01"], "end": [None, None]})
    for typed in (frame, frame.astype({"symbol": "category"})):
        typed.to_parquet(table)
        assert listed_days(["000001", "NA"], table) == {"000001": 60, "NA": 60}


@pytest.mark.parametrize(
    ("symbols", "names", "message"),
    [
        ([1, 600519], ["000001", "600519"], "1 of 2 symbols, first 1, .*1 for 000001"),
        ([1.0, 600519.0], ["000001", "600519"], "1 of 2 symbols, first 1, .*1 for 000001"),
        (["SZ000001", "sh.600519"], ["000001.SZ", "600519.SH"], "2 of 2 symbols.*SZ000001 for 000001.SZ"),
        (["BRK.B", "A"], ["BRK-B", "A"], "1 of 2 symbols.*BRK.B for BRK-B"),
        (["A", "B", "X", "Y", "Z"], ["A", "B"], "3 of 5 symbols, first X, Y, Z, .*not among its assets"),
    ],
)
def test_symbols_that_are_spelled_otherwise_are_refused_with_their_count(
    symbols: list[object], names: list[str], message: str, tmp_path: Path
) -> None:
    table = tmp_path / "members.parquet"
    pd.DataFrame({"symbol": symbols, "start": pd.Timestamp("2019-01-01"), "end": pd.NaT}).to_parquet(table)
    with pytest.raises(ValueError, match=message):
        listed_days(names, table)
    listed_days(names, table, Rules(unknown_members="keep")) if set(symbols) & set(names) else None


def test_few_members_without_bars_are_counted_and_no_fault(tmp_path: Path) -> None:
    table = tmp_path / "members.csv"
    table.write_text("symbol,start,end\nA,,\nB,,\nGONE,,2020-02-01\nLONG_GONE,,2009-12-31\n")
    assert listed_days(["A", "B"], table) == {"A": 60, "B": 60}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,start,end\n,2020-02-03,\n", "line 2: the symbol is empty"),
        ("symbol,start,end\nA,01/02/2020,\nB,02/03/2020,\n", "column 'start' could be %d/%m/%Y or %m/%d/%Y"),
        ("symbol,start,end\nA,soon,\n", "column 'start' holds 'soon'"),
    ],
)
def test_a_cell_that_is_not_clear_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_membership(tmp_path / "members.csv")
