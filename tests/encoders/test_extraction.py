"""Extraction: every day once, the same bits whatever the number of days, bounded batches, tokens on request."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.data import EncodedDays, FrozenEncoder
from encoders.states.audit import Audit, TrainingFacts
from encoders.states.extraction import Extraction, blocks, extract, known_rows
from encoders.windows import WindowStore
from market.panel import Panel
from market.scaling.scalers import RobustZScore
from market.states import MarketStates
from tests.encoders.test_audit import PROVENANCE, frozen
from tests.encoders.tiny import ASSETS, DAYS, LABEL, LOOKBACK, bars, tiny_data

FIT_END = np.datetime64("2020-05-11")


def how(batch_size: int = 16, tokens: bool = False) -> Extraction:
    training = TrainingFacts(LABEL, RobustZScore(), tiny_data().days.train)
    return Extraction(PROVENANCE, FIT_END, training, batch_size, tokens, Audit(cuts=2, days=16))


def test_states_say_of_each_day_what_the_encoder_says_of_it_alone(tmp_path: Path) -> None:
    made, panel = frozen(), bars()
    extract(made, panel, tmp_path / "states.safetensors", how())
    states = MarketStates.load(tmp_path / "states.safetensors")
    assert states.assets == panel.assets
    np.testing.assert_array_equal(states.dates, panel.dates)
    assert (states.fit_end == FIT_END).all()
    assert states.provenance == PROVENANCE | {"audit": "passed"}
    store = made.store(panel)
    for day in range(LOOKBACK - 1, DAYS):
        rows = made.rows(store, np.array([day]))
        np.testing.assert_allclose(states.asset[day], rows.asset[0], atol=1e-6)
        np.testing.assert_allclose(states.market[day], rows.market[0], atol=1e-6)
        np.testing.assert_allclose(states.forecast_mean[day], rows.forecast_mean[0], atol=1e-6)
        np.testing.assert_array_equal(states.mask[day], rows.mask[0])


def test_nothing_is_said_of_days_without_a_look_back_and_of_unlisted_assets(tmp_path: Path) -> None:
    extract(frozen(), bars(), tmp_path / "states.safetensors", how())
    states = MarketStates.load(tmp_path / "states.safetensors")
    assert states.codes is not None
    early, late = slice(0, LOOKBACK - 1), slice(0, DAYS // 3 + LOOKBACK - 1)
    for rows, assets in ((early, slice(None)), (late, ASSETS - 1)):
        assert not states.mask[rows, assets].any()
        assert not states.asset[rows, assets].any()
        assert np.isnan(states.forecast_mean[rows, assets]).all()
        assert (states.codes[rows, assets] == -1).all()
    assert not states.market[early].any()
    assert states.mask[LOOKBACK - 1 :, 0].all()


@pytest.mark.parametrize("n_before", [LOOKBACK, 40, 48, 159])
def test_appended_days_leave_the_old_ones_and_end_as_at_once(tmp_path: Path, n_before: int) -> None:
    made, panel = frozen(), bars()
    short, path = tmp_path / "short.safetensors", tmp_path / "states.safetensors"
    training = TrainingFacts(LABEL, RobustZScore(), None)
    settings = Extraction(PROVENANCE, FIT_END, training, 16, audit=Audit(cuts=2, days=16))
    extract(made, panel[:n_before], short, settings)
    asked: list[int] = []

    class Counted(FrozenEncoder):
        def rows(self, store: WindowStore, days: Any, tokens: bool = False) -> EncodedDays:
            asked.append(len(days))
            return super().rows(store, days, tokens)

    def watch(batches: Any, total: int) -> Any:
        before = len(asked)
        yield from batches
        assert len(asked) - before == total == len(range(n_before // 16, 10))

    counted = Counted(made.pipeline, made.encoder)
    extract(counted, panel, path, settings, known_rows(short, panel, "c" * 64, tokens=False), watch)
    extract(made, panel, tmp_path / "whole.safetensors", settings)
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_earlier_states_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    panel, path = bars(), tmp_path / "states.safetensors"
    extract(frozen(), panel, path, how())
    with pytest.raises(ValueError, match=r"states of another checkpoint; --overwrite"):
        known_rows(path, panel, "d" * 64, tokens=False)
    with pytest.raises(ValueError, match=r"states of no tokens; --overwrite"):
        known_rows(path, panel, "c" * 64, tokens=True)
    with pytest.raises(ValueError, match=r"states of 6 other assets; --overwrite"):
        known_rows(path, panel.select(panel.assets[:5]), "c" * 64, tokens=False)
    with pytest.raises(ValueError, match=r"states of other days \(2020-01-01 to 2020-06-08\)"):
        known_rows(path, panel[:100], "c" * 64, tokens=False)
    with pytest.raises(ValueError, match=r"states of other days \(2020-01-01 to 2020-06-08\)"):
        known_rows(path, replace(panel, dates=panel.dates + 1), "c" * 64, tokens=False)


def test_tokens_are_kept_only_where_asked_for(tmp_path: Path) -> None:
    made, panel = frozen(), bars()
    extract(made, panel, tmp_path / "plain.safetensors", how())
    assert not MarketStates.load(tmp_path / "plain.safetensors").tokens
    extract(made, panel, tmp_path / "states.safetensors", how(tokens=True))
    tokens = MarketStates.load(tmp_path / "states.safetensors").tokens
    assert tokens["moves"].shape == (DAYS, ASSETS, 8)
    np.testing.assert_allclose(
        tokens["moves"][50:55], made.rows(made.store(panel), np.arange(50, 55), tokens=True).tokens["moves"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("start", "stop", "size", "first"), [(7, 160, 16, 7), (40, 41, 16, 7), (31, 97, 8, 3), (9, 9, 4, 1)]
)
def test_blocks_hold_each_day_once_at_its_place(start: int, stop: int, size: int, first: int) -> None:
    seen: list[int] = []
    for days, wanted in blocks(start, stop, size, first):
        assert len(days) == size
        assert days.min() >= first
        assert days.max() < stop
        assert (days[wanted] % size == np.flatnonzero(wanted)).all()
        seen += days[wanted].tolist()
    assert seen == list(range(start, stop))


def test_a_panel_shorter_than_the_look_back_is_refused(tmp_path: Path) -> None:
    short: Panel = bars()[: LOOKBACK - 1]
    with pytest.raises(ValueError, match=r"panel has 7 days, fewer than the look-back of 8"):
        extract(frozen(), short, tmp_path / "states.safetensors", how())
