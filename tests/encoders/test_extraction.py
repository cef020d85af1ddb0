"""Extraction: every day once, the same bits whatever the number of days, bounded batches, tokens on request."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.data import EncodedDays, FrozenEncoder
from encoders.states.audit import Audit, Continuation, TrainingFacts, audit
from encoders.states.extraction import AuditError, Extraction, Tail, blocks, extract, known_rows, tail_of
from encoders.windows import WindowStore
from market.panel import Panel
from market.scaling.scalers import RobustZScore
from market.states import MarketStates
from tests.encoders.test_audit import PROVENANCE, frozen
from tests.encoders.tiny import ASSETS, DAYS, LABEL, LOOKBACK, Moves, bars, tiny_data

FIT_END = np.datetime64("2020-05-11")


@dataclass(frozen=True)
class Long(Moves):
    """Features of which one is the mean of all days so far."""

    def compute(self, panel: Panel) -> Panel:
        """Returns four features."""
        found = super().compute(panel)
        values = np.array(found.values)
        so_far = np.cumsum(np.nan_to_num(values[..., 0]), axis=0)
        values[..., 0] = so_far / np.arange(1, len(values) + 1)[:, None]
        return replace(found, values=values)


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


def with_memory(days: int) -> TrainingFacts:
    """Facts of a training whose inputs were found to remember so many days."""
    coverage = {"every_row": {"memory_days": days}, "exact_cuts_only": []}
    return TrainingFacts(LABEL, RobustZScore(), None, {"coverage": coverage, "external": {}})


def stores(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list that receives how many days each store holds that is made from now on."""
    made: list[int] = []
    real = FrozenEncoder.store

    def counted(self: FrozenEncoder, panel: Panel, label: Any = None) -> WindowStore:
        made.append(len(panel))
        return real(self, panel, label)

    monkeypatch.setattr(FrozenEncoder, "store", counted)
    return made


@pytest.mark.parametrize(
    ("n_before", "memory", "short"), [(159, 8, True), (140, 8, True), (159, 1, False), (40, 8, False)]
)
def test_new_days_are_computed_from_the_last_days_and_end_as_at_once(
    n_before: int, memory: int, short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, panel = frozen(), bars()
    if memory == 1:  # less than the features remember, as a wrong record might say
        made = replace(made, pipeline=replace(made.pipeline, features=Long()))
    settings = replace(how(), training=with_memory(memory))
    extract(made, panel[:n_before], tmp_path / "short.safetensors", settings)
    extract(made, panel, tmp_path / "whole.safetensors", settings)
    days = stores(monkeypatch)
    before = known_rows(tmp_path / "short.safetensors", panel, "c" * 64, tokens=False)
    verdict = extract(made, panel, tmp_path / "states.safetensors", settings, before)
    assert (max(days) < DAYS) == short
    assert ("new_days" in verdict.coverage) == short
    assert verdict.checks["inputs"] == verdict.checks["future"] == verdict.checks["batch"] == "passed"
    assert (tmp_path / "states.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(("exact", "external"), [(["MA5"], {}), ([], {"SIGNAL": "signals.parquet"})])
def test_new_days_need_all_days_where_a_column_may_remember_more(exact: list[str], external: dict[str, str]) -> None:
    sure = replace(how(), training=with_memory(8))
    assert tail_of(sure, LOOKBACK, DAYS - 1, DAYS).start > 0
    inputs = {"coverage": {"every_row": {"memory_days": 8}, "exact_cuts_only": exact}, "external": external}
    unsure = replace(sure, training=replace(sure.training, inputs=inputs))
    assert tail_of(unsure, LOOKBACK, DAYS - 1, DAYS) == Tail()


def test_new_days_that_move_the_days_before_them_are_refused(tmp_path: Path) -> None:
    made, panel = frozen(), bars()
    settings = replace(how(), training=with_memory(8))
    extract(made, panel[:150], tmp_path / "states.safetensors", settings)
    leaky = replace(made, pipeline=replace(made.pipeline, features=Moves(shift=1)))
    store = leaky.store(panel)
    written = leaky.rows(store, np.arange(LOOKBACK - 1, DAYS)).arrays()
    rows = {name: np.concatenate([array[:1].repeat(LOOKBACK - 1, 0), array]) for name, array in written.items()}
    found = audit(leaky, panel, rows, settings.training, settings.audit, Continuation(20, 150))
    assert found.checks["inputs"] == "failed"
    assert "when the new days became noise" in found.faults[0]
    before = known_rows(tmp_path / "states.safetensors", panel, "c" * 64, tokens=False)
    with pytest.raises(AuditError, match="inputs: "):
        extract(leaky, panel, tmp_path / "states.safetensors", settings, before)
