"""Damaged tables: never a traceback, and never a price that does not stand in the file for that day and symbol."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.panel import PRICES, Panel
from market.preparation.quality import Report, clean
from market.sources.tables.source import Tables
from tests.hardness.layouts import Damaged, Key, damage, layouts, standing

LAYOUTS = layouts()
MUTATIONS = 200


def frame_or_refusal(damaged: Damaged, path: Path) -> pd.DataFrame | str:
    """Returns the rows that the loader reads, or the message with which it refuses the file."""
    path.write_bytes(damaged.content)
    try:
        return Tables(str(path), columns=damaged.layout.columns).read()
    except ValueError as error:
        return str(error)


def check(damaged: Damaged, path: Path) -> str:
    """Fails where a damaged file is read wrongly, and returns what became of it."""
    frame = frame_or_refusal(damaged, path)
    if isinstance(frame, str):
        assert path.name in frame, frame
        assert "\n" not in frame, frame
        return "refused"
    truth = standing(damaged)
    for row in frame.itertuples(index=False):
        for name in PRICES:
            value = getattr(row, name, np.nan)
            if np.isfinite(value):
                assert value in truth.get((row.date.date(), row.symbol, name), ()), (name, row, damaged.told)
    cleaned = panel_or_refusal(frame)
    if isinstance(cleaned, str):
        assert "\n" not in cleaned
        return "nothing usable"
    check_panel(*cleaned, truth, damaged)
    return "read"


def panel_or_refusal(frame: pd.DataFrame) -> tuple[Panel, Report] | str:
    """Returns the panel and the report of cleaning, or the message with which everything is refused."""
    try:
        return clean(frame)
    except ValueError as error:
        return str(error)


def check_panel(panel: Panel, report: Report, truth: dict[Key, set[float]], damaged: Damaged) -> None:
    """Checks every price that is left after cleaning; only what the report calls repaired may differ from the file."""
    repaired = {asset for found in report.findings if found.treatment == "repair" for asset in found.by_asset}
    for name in PRICES:
        if name not in panel:
            continue
        for day, asset in np.argwhere(np.isfinite(panel[name])):
            symbol = panel.assets[asset]
            if symbol not in repaired:
                key = (panel.dates[day].astype(object), symbol, name)
                assert panel[name][day, asset] in truth.get(key, ()), (key, damaged.told)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_itself_is_read_or_refused_as_it_should_be(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    whole = next(d for d in (damage(layout, seed) for seed in range(10_000)) if d.told == ("",))
    path = tmp_path / "STEM.csv"
    assert check(whole, path) == ("refused" if layout.name == "error" else "read")
    if layout.name != "error":
        frame, truth = frame_or_refusal(whole, path), standing(whole)
        assert isinstance(frame, pd.DataFrame)
        known = frame[[field for field in PRICES if field in frame]].notna().to_numpy().sum()
        wanted = [key for key in truth if key[1] in set(frame["symbol"]) and key[2] in PRICES]
        assert known == len(wanted) > 30
        assert {len(truth[key]) for key in wanted} == {1}


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=MUTATIONS, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_damage_is_refused_in_a_line_or_leaves_what_stands_there(
    name: str, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    check(damage(LAYOUTS[name], seed), tmp_path_factory.getbasetemp() / "STEM.csv")


@pytest.mark.parametrize("name", [name for name in LAYOUTS if LAYOUTS[name].name != "error"])
def test_the_damage_is_of_both_kinds(name: str, tmp_path: Path) -> None:
    fates = [check(damage(LAYOUTS[name], seed), tmp_path / "STEM.csv") for seed in range(60)]
    assert fates.count("refused") >= 5
    assert fates.count("read") >= 5
