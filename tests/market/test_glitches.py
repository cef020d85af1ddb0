"""Lone wrong bars, whole or in part: masked where the next bar denies them, left alone where the market moved."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from envs import Tape
from market.preparation.quality import Report, clean
from market.prices.labels import Label
from tests.market.test_levels import bars, calm

DAY, LAST = 60, 119


def scaled(day: int, factor: float, *fields: str, volume: float = 1.0) -> pd.DataFrame:
    """Calm bars of which some prices of one day are another company's, or misread."""
    frame = bars(calm())
    frame.loc[frame.index[day], list(fields)] *= factor
    frame.loc[frame.index[day], "volume"] *= volume
    return frame


def masked(frame: pd.DataFrame) -> tuple[list[int], Report]:
    panel, report = clean(frame)
    assert panel.assets == ("AAA",)
    kept = np.isfinite(panel["close"][:, 0])
    np.testing.assert_array_equal(panel["close"][kept, 0], frame["close"].to_numpy()[kept])
    return np.flatnonzero(~kept).tolist(), report


@pytest.mark.parametrize("factor", [0.6, 0.7, 1.25, 1.5, 1.8])
def test_a_whole_bar_from_elsewhere_is_masked(factor: float) -> None:
    days, report = masked(scaled(DAY, factor, "open", "high", "low", "close"))
    assert days == [DAY]
    assert report["glitch"] is not None
    assert report["split"] is None
    panel, _ = clean(scaled(DAY, factor, "open", "high", "low", "close"))
    assert np.abs(Tape.from_panel(panel).after).max() < 0.06
    assert np.nanmax(np.abs(Label("next_open", 5).compute(panel))) < 0.15


def test_news_that_lasts_a_day_is_traded_more_and_stays() -> None:
    days, report = masked(scaled(DAY, 1.5, "open", "high", "low", "close", volume=6.0))
    assert days == []
    assert report["glitch"] is None


def test_a_fall_that_comes_back_in_part_stays() -> None:
    frame = scaled(DAY, 0.7, "open", "high", "low", "close")
    frame.loc[frame.index[DAY + 1 :], ["open", "high", "low", "close"]] *= 0.85
    assert masked(frame)[0] == []


def test_a_move_within_the_day_stays() -> None:
    assert masked(scaled(DAY, 0.75, "low", "close"))[0] == []  # it opened where the day before closed


@pytest.mark.parametrize(("factor", "fields"), [(0.3, ("low", "close")), (3.0, ("high", "close"))])
def test_a_close_that_nobody_opens_at_is_masked(factor: float, fields: tuple[str, ...]) -> None:
    assert masked(scaled(DAY, factor, *fields))[0] == [DAY]


@pytest.mark.parametrize(("factor", "fields"), [(3.0, ("open", "high")), (0.4, ("open", "low"))])
def test_an_open_alone_at_another_level_is_masked_and_no_buyer_pays_it(factor: float, fields: tuple[str, ...]) -> None:
    frame = scaled(DAY, factor, *fields)
    days, report = masked(frame)
    assert days == [DAY]
    assert "its open alone" in report["glitch"].places[0].detail  # type: ignore[union-attr]
    assert np.abs(Tape.from_panel(clean(frame)[0]).before).max() < 0.06


def test_a_lone_odd_last_bar_waits_for_the_next() -> None:
    days, report = masked(scaled(LAST, 1.5, "open", "high", "low", "close"))
    assert days == [LAST]
    assert report["pending"] is not None
    assert masked(scaled(LAST, 1.5, "open", "high", "low", "close", volume=6.0))[0] == []


@pytest.mark.parametrize("columns", [("close",), ("close", "volume"), ("open", "high", "low", "close")])
def test_without_opens_or_volumes_a_small_wrong_bar_cannot_be_told_from_news(columns: Any) -> None:
    frame = scaled(DAY, 1.5, "open", "high", "low", "close")
    assert masked(frame[["date", "symbol", *columns]])[0] == []
