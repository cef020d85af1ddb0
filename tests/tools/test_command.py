"""The start of every command: quick help, consoles of any encoding, a line a minute in logs."""

import io
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from factorgym.__main__ import stages
from market.splits import Split
from pipeline.results import FoldProgress, WalkProgress
from tools.command import report_progress
from tools.outline import outline
from tools.printing import divided, show_table
from tools.tables import show_result

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "pandas", "numba", "tyro", "stable_baselines3")


@pytest.mark.parametrize("stage", sorted(stages()))
def test_help_imports_nothing_heavy_and_names_the_options(stage: str) -> None:
    code = (
        "import sys\nsys.argv = ['factorgym', sys.argv[1], '--help']\nfrom factorgym.__main__ import main\nmain()\n"
        f"print('loaded', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, stage], cwd=ROOT, capture_output=True, text=True, check=True)
    *told_lines, loaded = done.stdout.splitlines()
    assert loaded == "loaded []"
    assert "usage: python -m tools." in told_lines[0]
    assert any(line.strip().startswith("--") for line in told_lines)


def test_help_names_the_fields_of_the_experiment_with_defaults() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.train", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    text = " ".join(done.stdout.split())
    assert "--episode-days int | None (default 252)" in text
    assert "--jobs int (default 0)" in text  # an option that the command shares with others
    assert "--name str (set by the config)" in text


def test_help_of_the_program_says_what_each_stage_is_for() -> None:
    code = (
        "import sys\nfrom factorgym.__main__ import main\nsys.argv = ['factorgym', '--help']\n"
        f"try:\n    main()\nfinally:\n    print(set({HEAVY!r}) & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    _, _, *lines, loaded = done.stdout.splitlines()
    assert loaded == "set()"
    told_of = dict(line.split(maxsplit=1) for line in lines)
    assert set(told_of) == set(stages()) - {"extract_state"}  # the old name of extract
    assert told_of["decide"] == "tomorrow's weights and trades."


@pytest.mark.parametrize(("stage", "takes"), [("pretrain", True), ("walk", True), ("train", True), ("prepare", False)])
def test_help_names_the_option_of_own_features_where_a_stage_takes_it(stage: str, takes: bool) -> None:
    module = import_module(f"tools.{stage}")
    assert ("--own-features TABLE[:LAG]" in outline(module)) is takes


def test_a_console_without_utf8_shows_help_and_tables() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    code = (
        "from tools.command import run\nfrom rich.table import Table\nfrom tools.printing import show_table\n"
        "def main(argv):\n    table = Table('−')\n    table.add_row('–')\n    show_table(table)\nrun(main)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def table(columns: int) -> Table:
    found = Table("policy", *(f"measure {k}" for k in range(columns)), title="many")
    found.add_row("buy and hold", *("1.23 [0.12, 3.45]" for _ in range(columns)), style="bold")
    return found


def test_a_table_in_a_file_is_whole(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w") as log:
        show_table(table(12), Console(file=log, width=80))
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert sum(line.count("1.23 [0.12, 3.45]") for line in lines) == 12
    assert sum("buy and hold" in line for line in lines) == 1


def test_a_narrow_terminal_gets_the_columns_below_each_other() -> None:
    parts = divided(table(12), 80)
    assert len(parts) > 1
    assert [part.columns[0].header for part in parts] == ["policy"] * len(parts)
    assert sum(len(part.columns) - 1 for part in parts) == 12
    assert [part.title for part in parts] == ["many", *[None] * (len(parts) - 1)]
    console = Console(width=80, force_terminal=True, record=True, file=io.StringIO())
    for part in parts:
        console.print(part)
    assert console.export_text().count("1.23 [0.12, 3.45]") == 12


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(report_progress(range(5), 5, "training", every=0.0)) == list(range(5))
        assert list(report_progress(range(5), 5, "quick", every=60.0)) == list(range(5))
    assert [record.message.split(",")[0] for record in caplog.records] == [f"training: {k} of 5" for k in (1, 2, 3, 4)]


def test_a_log_has_the_table_of_a_walk_once_and_then_a_line_a_refit(capsys: pytest.CaptureFixture[str]) -> None:
    split = Split(("2012-01-02", "2013-12-31"), ("2014-01-02", "2014-12-31"), ("2015-01-02", "2015-12-31"))
    for k in range(3):
        states = ["finished"] * k + ["running"] + ["to do"] * (2 - k)
        runs = [FoldProgress(fold, f"walk_{fold}", split, state) for fold, state in enumerate(states)]
        show_result(WalkProgress(tuple(runs)))
    text = capsys.readouterr().out
    assert text.count("walk_2") == 2, "in the table of the first refit, and when its turn comes"
    assert "walk_1 is running, 1 left after it: fold 1, it serves 2015-01-02 to 2015-12-31" in text


@pytest.mark.parametrize("stage", ["extract_state", "train", "evaluate", "compare", "pretrain"])
def test_help_names_the_option_that_trusts_a_package(stage: str) -> None:
    assert "--trust PACKAGE" in outline(import_module(f"tools.{stage}"))


def test_help_of_compare_says_that_it_looks_at_test_days() -> None:
    told = " ".join(outline(import_module("tools.compare")).split())
    assert "It evaluates on the test days, and each look at them is counted" in told
    assert "use `sweep`, or `pretrain` without `--test`" in told
