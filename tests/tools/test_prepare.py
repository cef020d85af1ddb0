"""Prepare: one command from any source to a panel that names the config which made it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs import files
from configs.schema.prepare import Prepare
from market.panel import Panel
from market.preparation.lists import read_membership, read_splits
from market.preparation.prepare import prepared
from market.preparation.quality import Rules
from market.sources.synthetic.source import Events, Synthetic
from market.sources.tables.source import Tables
from pipeline import prepare
from tools.prepare import main

SMALL = Prepare(name="small", source=Synthetic(stocks=8, days=120))


def test_the_panel_the_report_and_both_configs_are_written(tmp_path: Path) -> None:
    result = prepare(SMALL, tmp_path)
    folder = tmp_path / "data" / "small"
    assert Panel.load(folder / "panel.safetensors").shape == result.panel.shape
    assert result.path == folder / "panel.safetensors"
    assert result.quality is not None
    assert json.loads((folder / "quality.json").read_text())
    assert files.load_json(folder / "config.json", Prepare) == SMALL
    assert files.load_python(folder / "config.py", Prepare) == SMALL


def test_the_same_config_again_changes_nothing_and_another_one_is_refused(tmp_path: Path) -> None:
    prepare(SMALL, tmp_path, overwrite=False)
    path = tmp_path / "data" / "small" / "panel.safetensors"
    before = path.stat().st_mtime_ns
    assert prepare(SMALL, tmp_path).quality is None
    assert path.stat().st_mtime_ns == before
    other = replace(SMALL, source=Synthetic(stocks=8, days=120, seed=1))
    with pytest.raises(ValueError, match="made by another config"):
        prepare(other, tmp_path, overwrite=False)
    prepare(other, tmp_path, overwrite=True)
    assert path.stat().st_mtime_ns != before


def test_a_bad_source_leaves_the_panel_that_is_there(tmp_path: Path) -> None:
    prepare(SMALL, tmp_path, overwrite=False)
    path = tmp_path / "data" / "small" / "panel.safetensors"
    before = path.read_bytes()
    with pytest.raises(ValueError, match="nowhere"):
        prepare(replace(SMALL, source=Tables(path=str(tmp_path / "nowhere"))), tmp_path, overwrite=True)
    assert path.read_bytes() == before


def test_dividends_are_applied_and_the_quoted_close_stays(tmp_path: Path) -> None:
    frame = Synthetic(stocks=4, days=60, events=Events(splits=0.05, adjusted=False)).read()
    panel, _ = prepared(frame, Rules())
    assert "adj_close" not in panel
    raw = Panel.from_frame(frame)
    np.testing.assert_array_equal(panel["raw_close"], raw["close"])
    np.testing.assert_array_equal(panel["close"], raw["adj_close"])


def test_membership_narrows_what_is_listed(tmp_path: Path) -> None:
    table = tmp_path / "members.csv"
    pd.DataFrame({"symbol": ["S0", "S1"], "start_date": ["2010-02-01", ""], "end_date": ["2010-03-01", ""]}).to_csv(
        table
    )
    frame = Synthetic(stocks=3, days=80, events=Events(listings=0, delistings=0, halts=0)).read()
    panel, _ = prepared(frame, Rules(), membership=read_membership(table))
    listed = panel.dates[panel.listed[:, panel.asset_index("S0")]]
    assert listed[0] >= np.datetime64("2010-02-01")
    assert listed[-1] <= np.datetime64("2010-03-01")
    assert panel.listed[:, panel.asset_index("S1")].all()
    assert not panel.listed[:, panel.asset_index("S2")].any()
    pd.DataFrame({"ticker": ["S0"]}).to_csv(table)
    with pytest.raises(ValueError, match=r"members\.csv: no column 'start' among ticker"):
        read_membership(table)


def test_a_range_without_days_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is listed from 2030-01-01"):
        prepared(Synthetic(stocks=3, days=80).read(), Rules(), start="2030-01-01")


@pytest.mark.parametrize("name", ["", "..", "../../x", "a/b"])
def test_a_name_that_is_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="path separators"):
        replace(SMALL, name=name)


def test_overrides_reach_the_source_and_a_second_run_says_that_nothing_is_to_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--config", "configs/prepare/synthetic.py", "--workdir", str(tmp_path)]
    command = [*where, "--source.stocks", "5", "--source.days", "80"]
    main(command)
    assert "5 assets x 80 days" in capsys.readouterr().out
    main(command)
    assert "up to date" in capsys.readouterr().out
    assert Panel.load(tmp_path / "data" / "synthetic" / "panel.safetensors").shape[1] == 5


def test_a_source_that_has_grown_is_not_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = Synthetic(stocks=3, days=60, events=Events(listings=0, delistings=0, halts=0)).read()
    table = tmp_path / "bars.csv"
    frame[frame["date"] < frame["date"].max()].to_csv(table, index=False)
    experiment = Prepare(name="grown", source=Tables(path=str(table)))
    assert len(prepare(experiment, tmp_path, overwrite=False).panel) == 59
    assert prepare(experiment, tmp_path, overwrite=False).quality is None  # it is up to date
    frame.to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"it has 180 rows to .*, while the panel was made of 177 to .*--overwrite"):
        prepare(experiment, tmp_path, overwrite=False)
    assert len(prepare(experiment, tmp_path, overwrite=True).panel) == 60
    frame.assign(close=frame["close"] * 1.001).to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"as many rows .* with other values"):
        prepare(experiment, tmp_path, overwrite=False)


def test_a_ragged_end_is_cut_back_unless_it_is_kept(tmp_path: Path) -> None:
    frame = Synthetic(stocks=12, days=60, events=Events(listings=0, delistings=0, halts=0)).read()
    late = (frame["date"] == frame["date"].max()) & frame["symbol"].isin(["S01", "S02", "S03"])
    table = tmp_path / "bars.csv"
    frame[~late].to_csv(table, index=False)
    experiment = Prepare(name="ragged", source=Tables(path=str(table)))
    assert len(prepare(experiment, tmp_path, overwrite=False).panel) == 59
    quality = json.loads((tmp_path / "data" / "ragged" / "quality.json").read_text())
    assert "9 of 12 assets" in quality["findings"][0]["places"][0]["detail"]
    assert len(prepare(replace(experiment, keep_ragged_end=True), tmp_path, overwrite=True).panel) == 60


@pytest.mark.parametrize(
    ("text", "ratios"),
    [
        ("symbol,date,ratio\nAAPL,2020-08-31,4\nGE,2021-08-02,1:8\n", [4.0, 0.125]),
        ("code,dividOperateDate,backAdjustFactor\nsh.1,2010-01-01,1.0\nsh.1,2011-06-01,1.5\n", [1.0, 1.5]),
    ],
)
def test_lists_of_splits_are_read(tmp_path: Path, text: str, ratios: list[float]) -> None:
    table = tmp_path / "splits.csv"
    table.write_text(text)
    assert read_splits(table)["ratio"].tolist() == ratios
    table.write_text("symbol,date,ratio\nAAPL,2020-08-31,many\n")
    with pytest.raises(ValueError, match="the ratio of AAPL on 2020-08-31 is 'many'"):
        read_splits(table)


def test_members_without_bars_are_counted_by_year(tmp_path: Path) -> None:
    frame = Synthetic(stocks=3, days=300, events=Events(listings=0, delistings=0, halts=0)).read()
    table = tmp_path / "members.csv"
    table.write_text("symbol,start,end\nS0,,\nNA,,\nGONE,,2010-06-30\n")
    with pytest.raises(ValueError, match="2 of 3 symbols, first GONE, NA"):
        prepared(frame, Rules(), membership=read_membership(table))
    _, report = prepared(frame, Rules(unknown_members="keep"), membership=read_membership(table))
    assert report.membership["2010"] == {"members": 3, "without_bars": 2}
    assert report.membership["2011"] == {"members": 2, "without_bars": 1}
    assert "members without a bar, by year: 2010: 2 of 3, 2011: 1 of 2" in report.table()
