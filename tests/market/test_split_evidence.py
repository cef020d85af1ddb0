"""The limits of the evidence: where a split is undone, where it is only doubted, and where a step is none."""

import numpy as np
import pandas as pd
import pytest

from market.preparation.quality import clean
from tests.market.test_levels import TRUE_MOVES, bars, calm, moves, quoted, scaled


@pytest.mark.parametrize("day", range(20, 100, 7))
@pytest.mark.parametrize("ratio", [1.02, 1.05, 1.1])
def test_a_small_stock_dividend_is_undone_on_its_own_day_whatever_its_neighbours_do(ratio: float, day: int) -> None:
    wild = 40 * np.exp(np.cumsum(np.random.default_rng(day).normal(0, 0.03, 120)))
    frame = scaled(bars(wild), slice(day, None), 1 / ratio)
    panel, _ = clean(frame.assign(split=np.where(np.arange(120) == day, ratio, 1.0)))
    np.testing.assert_allclose(moves(panel), wild[1:] / wild[:-1] - 1, atol=1e-12)


@pytest.mark.parametrize("late", [-2, -1, 1, 3])
@pytest.mark.parametrize("ratio", [2.0, 1.5, 0.1])
def test_a_vendor_that_is_off_by_some_days_is_understood(ratio: float, late: int) -> None:
    panel, _ = clean(quoted(ratio).assign(split=np.where(np.arange(120) == 60 + late, ratio, 1.0)))
    np.testing.assert_allclose(moves(panel), TRUE_MOVES, atol=1e-12)


@pytest.mark.parametrize("ratio", [4 / 3, 1.25, 1.5, 2.0, 2.5, 10.0, 0.5, 1 / 15])
def test_a_ratio_that_companies_choose_is_undone_where_all_signs_agree(ratio: float) -> None:
    panel, report = clean(quoted(ratio))
    assert report["split"] is not None
    np.testing.assert_allclose(moves(panel), TRUE_MOVES, atol=1e-12)


@pytest.mark.parametrize("ratio", [5 / 3, 1.4, 3.5, 9.0])
def test_a_ratio_that_few_companies_choose_is_doubted_and_nothing_is_changed(ratio: float) -> None:
    frame = quoted(ratio)
    panel, report = clean(frame)
    if ratio == 9.0:  # beyond five times, so that no return may span it
        assert report["jump"] is not None
        return
    assert report["split"] is None
    assert "few companies" in report["suspect"].places[0].detail  # type: ignore[union-attr]
    np.testing.assert_array_equal(panel["close"][:, 0], frame["close"])


@pytest.mark.parametrize(("silent", "undone"), [(3, True), (15, True), (25, False)])
def test_a_step_after_weeks_of_silence_is_doubted(silent: int, undone: bool) -> None:
    still = calm()
    still[60:] *= still[59 - silent] / still[60]  # as before the silence, but for the split
    frame = scaled(bars(still), slice(60, None), 1 / 3)
    frame.loc[60:, "volume"] *= 3
    others = [bars(calm(k), symbol=f"B{k}") for k in range(3)]
    panel, report = clean(pd.concat([frame.drop(index=range(60 - silent, 60)), *others]))
    assert (report["split"] is not None) == undone
    assert (report["suspect"] is not None) != undone
    first = panel["close"][0, panel.asset_index("AAA")]
    assert first == pytest.approx(frame["close"][0] / (3 if undone else 1))


@pytest.mark.parametrize("step", [1.0, 2.5, 60.0])
def test_a_large_step_is_a_split_only_where_the_number_of_shares_steps_alike(step: float) -> None:
    frame = scaled(bars(calm()), slice(60, None), 0.1)
    frame.loc[60:, "volume"] *= step
    panel, report = clean(frame)
    assert report["split"] is None
    assert len(panel.assets) == 2
    assert clean(quoted(10.0))[1]["split"] is not None


@pytest.mark.parametrize("below", [1, 3, 9])
def test_a_history_that_passes_below_zero_in_usual_steps_is_refused_even_for_a_bar(below: int) -> None:
    frame = bars(calm())
    offset = float(np.sort(frame["close"])[below - 1 : below + 1].mean())
    frame[["open", "high", "low", "close"]] -= offset
    with pytest.raises(ValueError, match=rf"first AAA \({below} closes below zero, reached in usual steps\)"):
        clean(frame)
    slip = bars(calm())
    slip.loc[60, "close"] = -1.0  # a slip of the vendor, forty dollars away from its neighbours
    assert clean(slip)[1]["nonpositive"] is not None
