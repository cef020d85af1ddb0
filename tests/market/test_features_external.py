"""Columns of a user's table beside computed features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.features import Formulas
from market.features.external import WithColumns
from market.features.table import Feature
from market.panel import Panel

BASE = Formulas((Feature("MOVE", "close / delay(close, 1) - 1"),))
DATES = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
DAYS = DATES[np.is_busday(DATES)]


def panel_of(n_days: int = 20) -> Panel:
    values = np.random.default_rng(0).uniform(10, 11, (n_days, 2, 1))
    listed = np.ones((n_days, 2), np.bool_)
    return Panel(DAYS[:n_days], ("A", "B"), ("close",), values, listed, listed)


def written(folder: Path, rows: list[tuple[str, str, float]]) -> str:
    path = folder / "own.parquet"
    pd.DataFrame(rows, columns=["date", "symbol", "SIGNAL"]).to_parquet(path)
    return str(path)


def test_a_value_is_known_after_its_lag_and_not_before(tmp_path: Path) -> None:
    path = written(tmp_path, [(str(DAYS[4]), "A", 7.0)])
    for lag in (0, 1, 3):
        found = WithColumns(path, lag, base=BASE).compute(panel_of())["SIGNAL"]
        expected = np.full((20, 2), np.nan, np.float32)
        expected[4 + lag, 0] = 7.0
        np.testing.assert_array_equal(found, expected)


def test_a_value_of_a_weekend_counts_as_of_the_next_trading_day(tmp_path: Path) -> None:
    path = written(tmp_path, [("2024-01-06", "B", 1.0)])  # a Saturday
    found = WithColumns(path, 1, base=BASE).compute(panel_of())["SIGNAL"]
    assert np.flatnonzero(np.isfinite(found[:, 1])).tolist() == [
        int(np.searchsorted(DAYS, np.datetime64("2024-01-09")))
    ]


def test_a_report_stays_in_place_until_the_next_or_until_it_is_old(tmp_path: Path) -> None:
    path = written(tmp_path, [(str(DAYS[2]), "A", 1.0), (str(DAYS[5]), "A", 2.0)])
    found = WithColumns(path, 1, carry=6, base=BASE).compute(panel_of())["SIGNAL"][:, 0]
    expected = np.full(20, np.nan)
    expected[3:6], expected[6:13] = 1.0, 2.0
    np.testing.assert_array_equal(found, expected)


@given(cut=st.integers(2, 19), lag=st.integers(0, 4), carry=st.integers(0, 5))
def test_no_row_depends_on_later_days_of_panel_or_table(
    tmp_path_factory: pytest.TempPathFactory, cut: int, lag: int, carry: int
) -> None:
    rng, folder = np.random.default_rng(1), tmp_path_factory.mktemp("tables")
    rows = [(str(day), name, float(rng.normal())) for day in DAYS[:20] for name in "AB" if rng.random() < 0.6]
    whole = WithColumns(written(folder, rows), lag, carry=carry, base=BASE).compute(panel_of()).values[:cut]
    past = [row for row in rows if row[0] <= str(DAYS[cut - 1 - min(lag, cut - 1)])] or rows[:1]
    part = WithColumns(written(folder, past), lag, carry=carry, base=BASE).compute(panel_of(cut)).values
    if cut > lag:
        np.testing.assert_array_equal(part, whole)


def test_what_is_not_listed_is_unknown_and_base_features_stay(tmp_path: Path) -> None:
    panel = panel_of()
    listed = np.array(panel.listed)
    listed[10:, 0] = False
    panel = Panel(panel.dates, panel.assets, panel.fields, panel.values, listed, listed)
    path = written(tmp_path, [(str(day), "A", 1.0) for day in DAYS[:20]])
    found = WithColumns(path, 0, base=BASE).compute(panel)
    assert found.fields == ("MOVE", "SIGNAL")
    assert np.isfinite(found["SIGNAL"][:10, 0]).all()
    assert np.isnan(found["SIGNAL"][10:, 0]).all()
    np.testing.assert_array_equal(found["MOVE"], BASE.compute(panel)["MOVE"])


@pytest.mark.parametrize(
    ("rows", "change", "message"),
    [
        ([("2024-01-03", "A", 1.0)] * 2, {}, "A has two rows on 2024-01-03"),
        ([("2024-01-03", "C", 1.0)], {}, "none of its symbols"),
        ([("2024-01-03", "A", 1.0)], {"columns": ("OTHER",)}, "no column 'OTHER'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_is_wrong(
    tmp_path: Path, rows: list[tuple[str, str, float]], change: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        WithColumns(written(tmp_path, rows), 0, base=BASE, **change).compute(panel_of())


def test_a_negative_lag_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is known before its day"):
        WithColumns("own.parquet", -1)
