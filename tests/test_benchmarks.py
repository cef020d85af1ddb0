"""The table of `make bench`: a ratio is shown of what was measured in the same call, and of nothing else."""

from typing import get_args

import pytest
from rich.console import Console

import benchmarks.summary as summary
from benchmarks.__main__ import main
from benchmarks.summary import PARTS, Options, Part, SpeedComparison, table


def test_a_ratio_says_how_many_times_faster_ours_is() -> None:
    assert SpeedComparison("features", "s", 2.0, "pandas", 50.0).ratio == 25.0
    assert SpeedComparison("steps", "steps / cpu s", 3e6, "a peer", 3e5).ratio == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("quoted", "source"), [("8.64 s (elsewhere, noted 2026-11-21)", "quoted"), ("", "not installed")]
)
def test_what_was_measured_elsewhere_or_not_at_all_has_no_ratio(quoted: str, source: str) -> None:
    row = SpeedComparison("step", "s", 1.9, "the reference", quoted=quoted)
    assert row.ratio is None
    assert row.source == source
    assert row.cells() == ("step", "1.9 s", "the reference", "", "", source, quoted)


def test_all_rows_stand_in_one_table() -> None:
    assert set(PARTS) == set(get_args(Part)) == set(Options().only)
    rows = [SpeedComparison("one", "s", 1.0, "peer", 2.0), SpeedComparison("two", "s", 1.0, "peer", quoted="4 s")]
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table(iter(rows)))
    lines = [line for line in shown.get().splitlines() if "peer" in line]
    assert ["this call" in line for line in lines] == [True, False]
    assert "4 s" in lines[1]


def test_the_summary_is_told_which_parts_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(summary, "main", told.append)
    main(["summary", "--only", "quantizers", "envs"])
    assert told == [["--only", "quantizers", "envs"]]
