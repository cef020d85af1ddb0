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
