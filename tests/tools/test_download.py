"""tools.download from the command line to files, with Yahoo replaced by a server on this machine."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import market.sources.yahoo.source
from configs.files import load_python
from configs.schema.prepare import Prepare
from market.panel import Panel
from market.sources.yahoo.client import Yahoo
from tests.market.yahoo_server import YahooServer, listing
from tools import download
from tools.command import run

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")

CONFIG = """
from configs.schema.prepare import Prepare
from market.sources.yahoo.source import YFinance

experiment = Prepare(
    name="two", source=YFinance(tickers=("AAPL", "MSFT"), start="2019-01-02", cache={cache!r}, pause=0.0)
)
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with YahooServer() as running:
        running.listings = {"AAPL": listing("2019-01-01", "2020-03-31"), "MSFT": listing("2019-01-01", "2020-03-31", 2)}
        running.now = pd.Timestamp("2020-03-06 18:00", tz="UTC")
        monkeypatch.setattr(market.sources.yahoo.source, "Yahoo", lambda: Yahoo(running.session(), lambda: running.now))
        yield running


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "two.py"
    path.write_text(CONFIG.format(cache=str(tmp_path / "cache")))
    return str(path)


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def downloaded(config: str, folder: Path, *options: str) -> Panel:
    download.main(["--config", config, "--workdir", str(folder / "workdir"), *options])
    return Panel.load(folder / "workdir" / "data" / "two" / "panel.safetensors")


def test_a_panel_its_report_and_its_config(server: Any, config: str, tmp_path: Path) -> None:
    panel = downloaded(config, tmp_path)
    assert panel.assets == ("AAPL", "MSFT")
    assert str(panel.dates[-1]) == "2020-03-05"
    folder = tmp_path / "workdir" / "data" / "two"
    assert {path.name for path in folder.iterdir()} == {
        "panel.safetensors",
        "quality.json",
        "config.py",
        "config.json",
    }
    assert load_python(folder / "config.py", Prepare) == load_python(config, Prepare)


def test_a_second_run_adds_the_new_days(server: Any, config: str, tmp_path: Path) -> None:
    downloaded(config, tmp_path)
    server.asked.clear()
    server.now += pd.Timedelta(days=6)
    panel = downloaded(config, tmp_path)
    assert str(panel.dates[-1]) == "2020-03-11"
    assert [day for _, day in server.asked] == ["2020-02-28"] * 2


def test_a_run_with_a_last_day_is_made_once(server: Any, config: str, tmp_path: Path) -> None:
    first = downloaded(config, tmp_path, "--source.stop", "2020-02-28")
    server.close()
    again = downloaded(config, tmp_path, "--source.stop", "2020-02-28")
    assert again.fingerprint == first.fingerprint


def test_another_config_does_not_replace_the_panel_unasked(server: Any, config: str, tmp_path: Path) -> None:
    downloaded(config, tmp_path)
    with pytest.raises(ValueError, match="made by another config"):
        downloaded(config, tmp_path, "--source.start", "2019-06-03")
    assert str(downloaded(config, tmp_path, "--source.start", "2019-06-03", "--overwrite").dates[0]) == "2019-06-03"


def test_missing_tickers_fail_by_name_or_are_left_out(server: Any, config: str, tmp_path: Path) -> None:
    del server.listings["MSFT"]
    with pytest.raises(ValueError, match="1 of 2 tickers: MSFT"):
        downloaded(config, tmp_path)
    assert not (tmp_path / "workdir" / "data" / "two").exists()
    assert downloaded(config, tmp_path, "--allow-missing").assets == ("AAPL",)


def test_without_network_exit_code_one_one_line_nothing_changed(
    server: Any, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    downloaded(config, tmp_path)
    before = contents(tmp_path)
    capsys.readouterr()
    server.close()
    server.now += pd.Timedelta(days=6)
    monkeypatch.setattr("sys.argv", ["download", "--config", config, "--workdir", str(tmp_path / "workdir")])
    with pytest.raises(SystemExit) as caught:
        run(download.main)
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: yfinance: Yahoo cannot be reached for AAPL, MSFT")
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert contents(tmp_path) == before


def test_another_source_is_sent_to_prepare(tmp_path: Path) -> None:
    path = tmp_path / "table.py"
    path.write_text(
        "from configs.schema.prepare import Prepare\nfrom market.sources.qlib import QlibStore\n"
        "experiment = Prepare(name='store', source=QlibStore('nowhere'))\n"
    )
    with pytest.raises(ValueError, match=r"source is QlibStore, which tools\.prepare reads"):
        download.main(["--config", str(path)])


def test_the_storm_config_names_its_stocks_and_days() -> None:
    experiment = load_python("configs/download/dj30.py", Prepare)
    assert len(experiment.source.tickers) == 29
    assert (experiment.source.start, experiment.source.stop) == ("2008-04-01", "2024-03-28")
