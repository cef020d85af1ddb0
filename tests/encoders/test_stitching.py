"""Several fits become one file: every day served once, by a fit that had not seen it, in one coordinate system."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ortho_group

from encoders.states.alignment import AffineMap, CrossMoments
from encoders.states.stitching import FoldStates, stitch
from market.states import PROVENANCE, MarketStates

T, N, D, M, K = 300, 7, 5, 4, 2
DATES = np.datetime64("2020-01-01") + np.arange(T)
SPAN = 2
STARTS = (100, 170, 240)


def states(fit: int, seed: int = 0, codes: bool = True) -> MarketStates:
    """Returns states of an encoder fitted until row `fit`; the same for the same seed."""
    rng = np.random.default_rng(seed)
    mask = rng.random((T, N)) < 0.9
    hidden = rng.normal(size=(T, N, D)) * np.arange(1, 1 + D)
    return MarketStates(
        dates=DATES,
        assets=tuple("ABCDEFG"),
        asset=(hidden * mask[:, :, None]).astype(np.float32),
        market=rng.normal(size=(T, M)).astype(np.float32),
        forecast_mean=np.where(mask, rng.normal(size=(T, N)), np.nan).astype(np.float32),
        forecast_std=np.where(mask, 1, np.nan).astype(np.float32),
        mask=mask,
        fit_end=DATES[fit],
        codes=rng.integers(0, 8, (T, N, K)).astype(np.int32) if codes else None,
        provenance=dict.fromkeys(PROVENANCE, "made up") | {"audit": "passed", "horizon": 1},
    )


def turned(one: MarketStates, seed: int) -> MarketStates:
    """Returns the states of a fit whose hidden axes point elsewhere."""
    asset, market = (ortho_group.rvs(width, random_state=seed) for width in (D, M))
    shift = np.random.default_rng(seed).normal(size=D)
    moved = (one.asset.astype(float) @ asset + shift) * one.mask[:, :, None]
    return replace(one, asset=moved.astype(np.float32), market=(one.market.astype(float) @ market).astype(np.float32))


def folds(*parts: MarketStates) -> list[FoldStates]:
    """Returns the parts as folds that take turns."""
    stops = [*STARTS[1:], T]
    return [FoldStates(k, part, DATES[STARTS[k]], DATES[stops[k] - 1]) for k, part in enumerate(parts)]


def walk() -> list[FoldStates]:
    return folds(*(states(start - SPAN) for start in STARTS))


def test_turned_states_of_later_folds_come_back_to_the_first_ones_coordinates(tmp_path):
    first, *later = walk()
    said = stitch(
        [first, *(replace(fold, states=turned(fold.states, fold.number)) for fold in later)], tmp_path / "s", SPAN
    )
    found = MarketStates.load(tmp_path / "s")
    served = slice(STARTS[0], T)
    np.testing.assert_allclose(found.asset, first.states.asset[served], atol=1e-4)
    np.testing.assert_allclose(found.market, first.states.market[served], atol=1e-4)
    for one in said:
        assert one["explained"]["asset"] == pytest.approx(1, abs=1e-6)
        assert one["explained"]["market"] == pytest.approx(1, abs=1e-6)


def test_without_alignment_turned_states_stay_turned(tmp_path):
    first, second, third = walk()
    other = turned(second.states, 1)
    stitch([first, replace(second, states=other), third], tmp_path / "s", SPAN, "none")
    found = MarketStates.load(tmp_path / "s")
    rows = second.rows
    there = slice(rows.start - STARTS[0], rows.stop - STARTS[0])
    np.testing.assert_allclose(found.asset[there], other.asset[rows], atol=1e-6)
    assert not np.allclose(found.asset[there], first.states.asset[rows], atol=0.1)


def test_every_row_comes_from_the_fold_that_serves_its_day(tmp_path):
    parts = folds(*(states(start - SPAN, seed) for seed, start in enumerate(STARTS)))
    said = stitch(parts, tmp_path / "s", SPAN, "none")
    found = MarketStates.load(tmp_path / "s")
    np.testing.assert_array_equal(found.dates, DATES[STARTS[0] :])
    assert not found.in_sample.any()
    for fold in parts:
        there = np.flatnonzero(found.fold == fold.number)
        np.testing.assert_array_equal(found.dates[there], DATES[fold.rows])
        assert (found.fit_end[there] == DATES[STARTS[fold.number] - SPAN]).all()
        for name in ("forecast_mean", "forecast_std", "mask", "codes", "market", "asset"):
            np.testing.assert_array_equal(getattr(found, name)[there], getattr(fold.states, name)[fold.rows])
    assert found.audited
    assert found.provenance["folds"] == said
    assert [one["serves"][0] for one in said] == [str(DATES[start]) for start in STARTS]


def test_what_is_not_known_stays_zero_after_the_map(tmp_path):
    first, *later = walk()
    stitch([first, *(replace(fold, states=turned(fold.states, 3)) for fold in later)], tmp_path / "s", SPAN)
    found = MarketStates.load(tmp_path / "s")
    assert (found.asset[~found.mask] == 0).all()
    assert (~found.mask).any()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_fold_that_was_fitted_one_day_into_its_own_service_is_refused(number, tmp_path):
    parts = [replace(fold, states=states(STARTS[fold.number] - SPAN + (fold.number == number))) for fold in walk()]
    with pytest.raises(ValueError, match=f"^fold {number}: its encoder learnt from days until .* it may serve from"):
        stitch(parts, tmp_path / "s", SPAN)
    assert not list(tmp_path.iterdir())


def test_a_fold_that_serves_a_day_too_early_is_refused(tmp_path):
    first, second, third = walk()
    early = replace(second, first=second.first - 1)
    with pytest.raises(ValueError, match=f"^fold 1: .*it may serve from {second.first} on"):
        stitch([replace(first, last=first.last - 1), early, third], tmp_path / "s", SPAN)


@pytest.mark.parametrize("days", [-1, 1])
def test_no_day_is_missing_and_none_is_served_twice(days, tmp_path):
    first, second, third = walk()
    with pytest.raises(ValueError, match=r"^fold 1: it serves from .*every day is served once"):
        stitch([replace(first, last=first.last + days), second, third], tmp_path / "s", SPAN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"provenance": s.provenance | {"audit": "failed"}}, "its states have audit='failed'"),
        (lambda s: {"provenance": s.provenance | {"horizon": 5}}, "its horizon is 5, that of fold 0 is 1"),
        (lambda s: {"provenance": s.provenance | {"fill": "close"}}, "its fill is 'close'"),
        (lambda s: {"assets": tuple("ABCDEFX")}, "its states are of another panel"),
        (lambda s: {"dates": s.dates + 1}, "its states are of another panel"),
        (lambda s: {"codes": None}, "it has no codes, unlike the first fold"),
        (lambda s: {"fit_end": np.where(np.arange(T) < 9, DATES[0], DATES[9])}, "its states come from several fits"),
    ],
)
def test_folds_that_do_not_belong_together_are_refused(change, message, tmp_path):
    first, second, third = walk()
    other = replace(second, states=replace(second.states, **change(second.states)))
    with pytest.raises(ValueError, match=f"^fold 1: {message}"):
        stitch([first, other, third], tmp_path / "s", SPAN)


def test_a_fold_whose_states_end_before_its_service_is_refused(tmp_path):
    first, second, third = walk()
    grids = ("asset", "market", "forecast_mean", "forecast_std", "mask", "codes", "dates", "fit_end", "fold")
    short = replace(third.states, **{name: getattr(third.states, name)[: T - 5] for name in grids})
    with pytest.raises(ValueError, match=r"^fold 2: its states lack days of"):
        stitch([first, second, replace(third, states=short)], tmp_path / "s", SPAN)


def test_states_that_do_not_agree_are_kept_with_a_warning(tmp_path, caplog):
    first, second, third = walk()
    with caplog.at_level(logging.WARNING):
        said = stitch([first, replace(second, states=states(STARTS[1] - SPAN, 9)), third], tmp_path / "s", SPAN)
    assert said[1]["explained"]["asset"] < 0.5
    assert "the states of 1 of 3 folds (1) explain less than half of the first fold's" in caplog.text
    assert "agents of train do not see them" in caplog.text
    assert len(caplog.records) == 1


def test_ridge_finds_any_linear_map_and_measures_what_it_explains():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(400, 5)), rng.normal(size=(5, 3))
    noise = rng.normal(size=(400, 3))
    moments = CrossMoments(5, 3)
    for start in range(0, 400, 64):
        moments.add(x[start : start + 64], (x @ weights + 2 + noise)[start : start + 64])
    found = moments.fit("ridge")
    y = x @ weights + 2 + noise
    expected = 1 - ((y - found(x)) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum()
    assert moments.explained(found) == pytest.approx(expected, abs=1e-6)
    solution, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(400)]), y, rcond=None)
    np.testing.assert_allclose(found.matrix, solution[:5], atol=1e-4)
    np.testing.assert_allclose(found.offset, solution[5], atol=1e-4)
    with pytest.raises(ValueError, match="orthogonal maps keep the width"):
        moments.fit("orthogonal")
    assert moments.explained(AffineMap(np.zeros((5, 3)), y.mean(axis=0))) == pytest.approx(0, abs=1e-9)
