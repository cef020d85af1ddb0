"""Inspection says what is in a panel, and its page needs nothing from outside."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.reports.panel import figures, page, summarise
from market.panel import Panel
from market.preparation.quality import Rules, clean
from market.storage.array_file import write_json
from tools.inspect.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frame() -> pd.DataFrame:
    days = pd.bdate_range("2020-01-01", periods=40)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"date": np.tile(days, 3), "symbol": np.repeat(["<A>", "BBB", "CCC"], 40)})
    frame["close"] = 100 * np.exp(rng.normal(0, 0.01, 120))
    frame["volume"] = 1000.0
    frame.loc[50, "close"] *= 1.5  # BBB on the 11th day
    frame.loc[55, "volume"] = 0.0
    frame.loc[60, "close"] = np.nan
    return frame.drop(range(80, 90))  # CCC comes ten days late


def test_summary_counts_what_is_there(frame: pd.DataFrame) -> None:
    summary = summarise(Panel.from_frame(frame), n_moves=2)
    assert summary.days == ("2020-01-01", "2020-02-25", 40)
    assert (summary.assets, summary.fields, summary.late, summary.ended) == (3, ("close", "volume"), ("CCC",), ())
    assert summary.listed == 110 / 120
    assert summary.tradable == 108 / 110
    assert summary.missing == {"close": 1 / 110, "volume": 0.0}
    assert {(move.asset, move.date) for move in summary.moves} == {("BBB", "2020-01-15"), ("BBB", "2020-01-16")}
    text = dict(summary.rows())
    assert (text["assets"], text["listed later"], text["gone by the last day"]) == ("3", "1 (CCC)", "none")
    assert text["missing"] == "close 0.909% of the listed cells"


def test_moves_cross_days_without_a_bar(frame: pd.DataFrame) -> None:
    frame.loc[61:79, "close"] *= 3.0  # the day before has no close
    (move,) = summarise(Panel.from_frame(frame), n_moves=1).moves
    assert (move.asset, move.date) == ("BBB", "2020-01-30")


def test_figures_show_masks_and_holes(frame: pd.DataFrame) -> None:
    panel = Panel.from_frame(frame)
    drawn = figures(panel)
    assert list(drawn) == ["Coverage", "Missing values", "Prices"]
    level = np.array(drawn["Coverage"].data[0].z)
    np.testing.assert_array_equal(level, (panel.listed.astype(int) + panel.tradable).T)
    holes = np.array(drawn["Missing values"].data[0].z)
    assert np.argwhere(holes).tolist() == [[0, 20]]
    assert [line.name for line in drawn["Prices"].data] == ["<A>", "BBB", "CCC"]
    assert drawn["Prices"].data[2].y[10] == 1.0
    assert list(figures(panel.select(fields=["volume"]))) == ["Coverage", "Missing values"]


def test_long_panels_are_drawn_in_shares_of_days() -> None:
    days = np.arange(1000).astype("datetime64[D]")
    listed = np.zeros((1000, 1), bool)
    listed[500:] = True
    panel = Panel(days, ("A",), ("close",), np.ones((1000, 1, 1)), listed, listed & False)
    level = np.array(figures(panel)["Coverage"].data[0].z)
    assert level.shape == (1, 400)
    assert (level[0, :200].max(), level[0, 200:].min()) == (0.0, 1.0)


def test_page_holds_everything_and_escapes_names(frame: pd.DataFrame) -> None:
    panel, report = clean(frame, Rules(min_days=5))
    text = page(panel, report, "a <b> & c")
    assert "a &lt;b&gt; &amp; c" in text
    assert "a <b> & c" not in text
    assert "zero_volume" in text
    assert "&lt;A&gt; 2020-" in text
    assert "<A>" not in text
    assert text.count("Plotly.newPlot(") >= 3
    assert "<script src=" not in text
    assert "cdn.plot.ly" not in text.split("Plotly.newPlot(")[0][:2000]
    assert "No quality report" in page(panel, None, "x")


def test_command_prints_writes_and_refuses(
    frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel, report = clean(frame, Rules(min_days=5))
    path = tmp_path / "panel.safetensors"
    panel.save(path)
    main(["--panel", str(path)])
    assert "no report beside this panel" in capsys.readouterr().out
    write_json(tmp_path / "quality.json", report.to_json())
    main(["--panel", str(path), "--html", str(tmp_path / "out.html"), "--moves", "1"])
    printed = capsys.readouterr().out
    assert "BBB 2020-01-1" in printed
    assert "zero_volume" in printed
    assert (tmp_path / "out.html").read_text(encoding="utf-8").endswith("</html>\n")
    (tmp_path / "quality.json").write_text("{}")
    with pytest.raises(ValueError, match=r"quality\.json: quality report"):
        main(["--panel", str(path)])
    with pytest.raises(ValueError, match="no such file"):
        main(["--panel", str(tmp_path / "nowhere.safetensors")])


def test_the_name_of_the_command_hides_no_module_of_python() -> None:
    script = "import sys; sys.path.insert(0, 'tools'); import inspect; print(inspect.signature(len), inspect.__file__)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("(obj, /)")
    assert str(ROOT / "tools") not in result.stdout


def test_the_health_of_a_runs_inputs_is_printed(
    tmp_path: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    Panel.from_frame(frame).save(tmp_path / "panel.safetensors")
    write_json(tmp_path / "features.json", {"complaints": {"VMA5": ["constant 89.5%"]}, "features": [], "limits": {}})
    main(["--panel", str(tmp_path / "panel.safetensors"), "--features", str(tmp_path)])
    assert "VMA5  constant 89.5%" in capsys.readouterr().out
