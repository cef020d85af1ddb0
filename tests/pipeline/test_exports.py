"""Tables for other programs: what they hold, and what they refuse."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.files import load_python
from configs.schema.trade import Trade
from evaluation.backtest import Backtest
from pipeline.differences import differing_fields
from pipeline.exports import flat, sheet_names, write_tables
from tests.tools import trade_runs
from tools.compare import main as compare_main
from tools.evaluate import main


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with an evaluated run of two seeds, exported twice."""
    folder = tmp_path_factory.mktemp("workdir")
    trade_runs.market(folder)
    run = trade_runs.trained(folder)
    main(["--run", str(run), "--workdir", str(folder), "--cost-points", "--export", "csv"])
    main(["--run", str(run), "--workdir", str(folder), "--export", "xlsx"])
    return folder


def exported(workdir: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(workdir / "evaluate" / "tiny_ppo" / "export" / f"{name}.csv")


def test_weights_of_every_seed_are_those_of_its_account(workdir: Path) -> None:
    for name in ("PPO", "PPO_seed_0", "PPO_seed_1"):
        account = Backtest.load(workdir / "evaluate" / "tiny_ppo" / "accounts" / f"{name}.parquet")
        table = exported(workdir, f"weights_{name}")
        assert list(table.columns) == ["date", "cash", *account.assets]
        np.testing.assert_allclose(table.drop(columns="date").to_numpy(), account.weights)
        assert list(table["date"]) == [str(day) for day in account.dates]
    assert not exported(workdir, "weights_PPO_seed_0").equals(exported(workdir, "weights_PPO_seed_1"))


def test_returns_compound_to_the_wealth_of_the_metrics(workdir: Path) -> None:
    metrics = json.loads((workdir / "evaluate" / "tiny_ppo" / "metrics.json").read_text())
    returns = exported(workdir, "returns").set_index("date")
    for name in ("PPO", "equal_weight"):
        assert (1 + returns[name]).prod() == pytest.approx(metrics["performance"][name]["final_wealth"])
        assert 0 < metrics["performance"][name]["exposure"] <= 1
        assert metrics["performance"][name]["time_in_market"] > 0.9
    assert metrics["performance"]["cash"]["exposure"] == 0 == metrics["performance"]["cash"]["time_in_market"]


def test_trades_and_forecasts_are_rows(workdir: Path) -> None:
    trades, forecasts = exported(workdir, "trades"), exported(workdir, "forecasts")
    assert set(trades["account"]) >= {"PPO", "PPO_seed_0", "PPO_seed_1"}
    assert {"date", "asset", "value", "cost"} <= set(trades.columns)
    test = forecasts[forecasts["part"] == "test"]
    assert test["forecast"].corr(test["realised"]) > 0.3  # the market's forecast is half of the truth
    assert set(forecasts["part"]) == {"valid", "test"}


def test_an_export_of_what_is_evaluated_is_no_look(workdir: Path) -> None:
    metrics = json.loads((workdir / "evaluate" / "tiny_ppo" / "metrics.json").read_text())
    assert metrics["looks"] == 1
    book = zipfile.ZipFile(workdir / "evaluate" / "tiny_ppo" / "export" / "evaluation.xlsx")
    names = book.read("xl/workbook.xml").decode()
    for sheet in ("returns", "weights_PPO_seed_1", "trades", "forecasts"):
        assert f'name="{sheet}"' in names


def test_a_comparison_says_how_its_candidates_differ(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = trade_runs.trained(workdir, name="tiny_dear", seeds=(0,), episode_days=20)
    first = workdir / "trade" / "tiny_ppo"
    options = ["--runs", str(first), str(other), "--workdir", str(workdir), "--export", "csv", "latex"]
    compare_main(options)
    assert "How the candidates differ" in capsys.readouterr().out
    folder = workdir / "evaluate" / "comparison"
    table = pd.read_csv(folder / "export" / "differences_of_agents.csv").set_index("field")
    assert list(table.index) == ["episode_days"]
    assert list(table.loc["episode_days"]) == [40, 20]
    numbers = pd.read_csv(folder / "export" / "trading.csv").set_index(["run", "policy"])
    metrics = json.loads((workdir / "evaluate" / "tiny_ppo" / "metrics.json").read_text())
    assert numbers.loc[("tiny_ppo", "PPO"), "sharpe"] == pytest.approx(metrics["performance"]["PPO"]["sharpe"])
    assert "sharpe_ci_low" in numbers.columns
    source = (folder / "export" / "trading.tex").read_text()
    assert r"\begin{tabular}" in source
    assert r"\%" in source
    assert "−" not in source


def test_an_evaluation_without_accounts_is_named(tmp_path: Path) -> None:
    from pipeline import export_evaluation

    with pytest.raises(ValueError, match="nothing has been evaluated there"):
        export_evaluation(tmp_path, ["csv"])


def test_a_table_too_wide_for_a_sheet_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wide = pd.DataFrame(np.zeros((1, 16_385)))
    with pytest.raises(ValueError, match="more than a sheet holds; take csv"):
        write_tables({"weights": wide}, tmp_path, ["xlsx"], "book")
    assert not list(tmp_path.iterdir())


def test_sheets_have_short_names_of_their_own() -> None:
    names = sheet_names(["a" * 40, "a" * 41, "weights: 1/2", "A" * 31])
    assert len({one.lower() for one in names}) == 4
    assert all(len(one) <= 31 and not set(one) & set("[]:*?/\\") for one in names)


def test_measures_become_one_row() -> None:
    row = flat({"test": {"ic": 0.1, "rank_ic_ci": [0.0, 0.2], "list": [1, 2, 3]}, "n": 3})
    assert row == {"test.ic": 0.1, "test.rank_ic_ci_low": 0.0, "test.rank_ic_ci_high": 0.2, "n": 3}


def test_another_encoder_is_one_line() -> None:
    from dataclasses import replace

    from configs.files import load_python
    from configs.schema.pretrain import Pretrain

    first = load_python("configs/pretrain/dj30_gru.py", Pretrain)
    other = load_python("configs/pretrain/dj30_ridge.py", Pretrain)
    rows = {row["field"]: row for row in differing_fields({"gru": first, "ridge": other})}
    assert rows["encoder"] == {"field": "encoder", "gru": "GRU", "ridge": "Ridge"}
    assert not [field for field in rows if field.startswith("encoder.")]
    assert differing_fields({"a": first, "b": replace(first, name="b", seed=3)}) == []


def test_a_part_that_one_candidate_lacks_is_one_row() -> None:
    with_rule = load_python("configs/trade/csi300_portfolio_apg.py", Trade)
    rows = differing_fields({"rule": with_rule, "none": replace(with_rule, start_from=None)})
    assert rows == [{"field": "start_from", "rule": "agents.TopKDropN", "none": "None"}]
