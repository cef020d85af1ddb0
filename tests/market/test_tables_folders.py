"""Folders of tables: a file a day, and files that cannot be read."""

from pathlib import Path

import pandas as pd
import pytest

from market.sources.tables.source import Tables


@pytest.mark.parametrize("name", ["%Y-%m-%d", "%Y%m%d", "%Y_%m_%d"])
def test_a_file_a_day_may_say_its_day_in_its_name_alone(tmp_path: Path, name: str) -> None:
    days = pd.bdate_range("2020-01-01", periods=4)
    for k, day in enumerate(days):
        (tmp_path / f"{day.strftime(name)}.csv").write_text(f"symbol,close\nA,{10 + k}\nB,{20 + k}\n")
    frame = Tables(str(tmp_path)).read()
    assert frame["date"].tolist() == [*days, *days]
    assert frame["close"].tolist() == [10, 11, 12, 13, 20, 21, 22, 23]
    (tmp_path / "latest.csv").write_text("symbol,close\nA,1\n")
    with pytest.raises(ValueError, match=r"latest\.csv: no column 'date'"):
        Tables(str(tmp_path)).read()


def test_of_many_files_that_cannot_be_read_a_few_are_named(tmp_path: Path) -> None:
    for k in range(30):
        (tmp_path / f"x{k:02d}.csv").write_text("symbol,close\nA,1\n")
    with pytest.raises(ValueError, match="30 of 30 files cannot be read") as caught:
        Tables(str(tmp_path)).read()
    assert "x04.csv" in str(caught.value)
    assert "x05.csv" not in str(caught.value)
    assert str(caught.value).endswith("and 25 more")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BA.csv.gz", r"1 of its files cannot be read as they are \(BA.csv.gz\); unpack them"),
        ("BA.CSV.ZIP", r"\(BA.CSV.ZIP\); unpack them"),
        ("prices.xlsx", r"\(prices.xlsx\); save them as CSV"),
    ],
)
def test_a_ticker_is_not_left_out_because_its_file_is_packed(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "IBM.csv").write_text("date,close\n2020-01-02,100\n2020-01-03,101\n")
    assert len(Tables(path=str(tmp_path)).read()) == 2
    (tmp_path / name).write_bytes(b"packed")
    with pytest.raises(ValueError, match=message):
        Tables(path=str(tmp_path)).read()
