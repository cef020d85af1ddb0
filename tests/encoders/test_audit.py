"""The audit passes an honest pipeline and names each planted fault; a failed audit leaves no file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.base import Encoding, Inference
from encoders.data import EncodedDays, FrozenEncoder
from encoders.states.audit import Audit, TrainingFacts
from encoders.states.extraction import Extraction, extract
from encoders.states.perturbation import noise_after, noise_in, unlisted
from encoders.windows import Window, WindowStore
from market.arrays import AnyArray
from market.audit import AuditError
from market.panel import Panel
from market.scaling.scalers import RobustZScore, Scaler
from market.states import MarketStates
from tests.encoders.tiny import LABEL, Moves, Tiny, TinyEncoder, bars, tiny_data

PROVENANCE = {
    "encoder": "TinyEncoder",
    "checkpoint_sha256": "c" * 64,
    "panel_fingerprint": "p" * 64,
    "split": None,
    "fill": LABEL.fill,
    "horizon": LABEL.horizon,
}


def frozen(encoder: type[TinyEncoder] = TinyEncoder, **changes: Any) -> FrozenEncoder:
    data = tiny_data(**changes)
    torch.manual_seed(0)
    built = encoder(Tiny(), data.store.shape).eval().requires_grad_(False)
    return FrozenEncoder(data.pipeline, built)


def how(**changes: Any) -> Extraction:
    training = changes.pop("training", TrainingFacts(LABEL, RobustZScore(), tiny_data().days.train))
    return Extraction(
        PROVENANCE, np.datetime64("2020-05-11"), training, batch_size=16, audit=Audit(cuts=3, days=16), **changes
    )


def faults(path: Path, made: FrozenEncoder, panel: Panel | None = None, **changes: Any) -> list[str]:
    with pytest.raises(AuditError) as caught:
        extract(made, bars() if panel is None else panel, path / "states.safetensors", how(**changes))
    assert not list(path.iterdir()), "a failed audit must leave nothing behind"
    assert caught.value.verdict.to_json()["verdict"] == "failed"
    return list(caught.value.verdict.faults)


def test_an_honest_pipeline_passes(tmp_path: Path) -> None:
    verdict = extract(frozen(), bars(), tmp_path / "states.safetensors", how())
    assert verdict.to_json()["verdict"] == "passed"
    assert verdict.checks == dict.fromkeys(
        ("inputs", "window", "future", "batch", "labels", "scaler", "assets"), "passed"
    )
    assert MarketStates.load(tmp_path / "states.safetensors").audited


def test_a_centred_rolling_feature_is_caught(tmp_path: Path) -> None:
    found = faults(tmp_path, frozen(features=Moves(shift=1)))
    assert any(line.startswith("future: asset moved by up to") and "became noise" in line for line in found)


@dataclass(frozen=True)
class MaskOfTomorrow(Moves):
    """Leaves out assets that will not be listed, or will not trade, tomorrow."""

    mask: str = "listed"

    def compute(self, panel: Panel) -> Panel:
        features, tomorrow = super().compute(panel), np.roll(getattr(panel, self.mask), -1, axis=0)
        return replace(features, values=np.where(tomorrow[:, :, None], features.values, np.float32(0)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("mask", ["listed", "tradable"])
def test_a_delisting_or_a_halt_known_the_day_before_is_caught(tmp_path: Path, mask: str, seed: int) -> None:
    training = TrainingFacts(LABEL, RobustZScore(), tiny_data().days.train)
    settings = Extraction(
        PROVENANCE, np.datetime64("2020-05-11"), training, 16, audit=Audit(cuts=2, days=16, seed=seed)
    )
    with pytest.raises(AuditError, match="future: asset moved"):
        extract(frozen(features=MaskOfTomorrow(mask=mask)), bars(), tmp_path / "states.safetensors", settings)


@dataclass(frozen=True)
class AllDays(RobustZScore):
    """Fits on every day, whatever it is told."""

    def fit(self, features: Panel, days: slice) -> Scaler:  # type: ignore[override]
        return super().fit(features, slice(None))


def test_a_scaler_fitted_on_all_days_is_caught(tmp_path: Path) -> None:
    made = frozen(scaling=AllDays())
    honest = faults(tmp_path, made)  # fitted again by the honest scaling, the statistics differ
    assert any(line.startswith("scaler: centre of one is") and "train days" in line for line in honest)
    training = TrainingFacts(LABEL, AllDays(), tiny_data().days.train)
    same = faults(tmp_path, made, training=training)  # and fitted again by itself, later rows move it
    assert any(line.startswith("scaler: ") and "when later rows are noise" in line for line in same)


class BatchAttention(TinyEncoder):
    """Mixes the days of a batch, as attention over the wrong axis does."""

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        return super().infer(features + 0.1 * features.mean(0, keepdim=True), mask, calendar, tokens=tokens)


def test_attention_across_the_batch_is_caught(tmp_path: Path) -> None:
    assert any(line.startswith("batch: asset moved") for line in faults(tmp_path, frozen(BatchAttention)))


class Remembers(TinyEncoder):
    """Keeps the labels that training shows it, and feeds them to the state."""

    seen: Tensor | None = None

    def forward(self, window: Window) -> Encoding:
        self.seen = window.forward_return
        return super().forward(window)

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        found = super().infer(features, mask, calendar, tokens=tokens)
        if self.seen is None or self.seen.shape != mask.shape:
            return found
        asset = found.state.asset + self.seen.nan_to_num()[..., None] * mask[..., None]
        return found._replace(state=found.state._replace(asset=asset))


def test_a_label_fed_to_encode_is_caught(tmp_path: Path) -> None:
    assert any(line.startswith("labels: asset moved") for line in faults(tmp_path, frozen(Remembers)))


class Awakes(TinyEncoder):
    """Says something else once it has been on the training path."""

    awake = 0.0

    def forward(self, window: Window) -> Encoding:
        self.awake = 1.0
        return super().forward(window)

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        return super().infer(features + self.awake, mask, calendar, tokens=tokens)


def test_an_encoder_that_the_training_path_changes_is_caught(tmp_path: Path) -> None:
    found = faults(tmp_path, frozen(Awakes))
    assert any(line.startswith("labels: asset moved") and "in the file" in line for line in found)


class Tomorrow(FrozenEncoder):
    """Says tomorrow's state today."""

    def rows(self, store: WindowStore, days: Any, tokens: bool = False) -> EncodedDays:
        return super().rows(store, np.minimum(days + 1, len(store.listed) - 1), tokens)


def test_a_state_shifted_by_a_day_is_caught(tmp_path: Path) -> None:
    honest = frozen()
    found = faults(tmp_path, Tomorrow(honest.pipeline, honest.encoder))
    assert any(line.startswith("future: asset moved") for line in found)


def test_a_file_shifted_by_a_day_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "states.safetensors"
    extract(frozen(), bars(), path, how())
    states = MarketStates.load(path)
    rows = {name: np.array(getattr(states, name)) for name in ("asset", "market", "forecast_mean", "forecast_std")}
    rows |= {"mask": np.array(states.mask), "codes": np.array(states.codes)}
    shifted: dict[str, AnyArray] = {name: np.concatenate([array[1:], array[-1:]]) for name, array in rows.items()}
    path.unlink()
    with pytest.raises(AuditError, match=r"future: asset moved by .* in the file"):
        extract(frozen(), bars(), path, how(), shifted)
    assert not path.exists()


class SeesUnlisted(TinyEncoder):
    """Lets assets that are not listed into the market's state."""

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        found = super().infer(features, mask, calendar, tokens=tokens)
        market = self.embedded(features).mean(1)
        return found._replace(state=found.state._replace(market=market))


@dataclass(frozen=True)
class IgnoresListing(Moves):
    """Computes features for assets whether they are listed or not."""

    def compute(self, panel: Panel) -> Panel:
        return super().compute(replace(panel, listed=np.ones_like(panel.listed)))


def test_an_unlisted_asset_that_moves_the_others_is_caught(tmp_path: Path) -> None:
    panel = bars(late=False)
    made = frozen(SeesUnlisted, panel=panel, features=IgnoresListing())
    found = faults(tmp_path, made, panel)
    assert any(line.startswith("assets: market moved") and "other values" in line for line in found)


class SpeaksOfUnlisted(TinyEncoder):
    """Gives a state to assets that have none."""

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        found = super().infer(features, mask, calendar, tokens=tokens)
        return found._replace(state=found.state._replace(asset=found.state.asset + 1))


def test_a_state_of_an_unlisted_asset_is_caught(tmp_path: Path) -> None:
    assert any("has a state or a forecast" in line for line in faults(tmp_path, frozen(SpeaksOfUnlisted)))


def test_on_another_panel_the_scaler_is_not_fitted_again(tmp_path: Path) -> None:
    verdict = extract(
        frozen(),
        bars(seed=5),
        tmp_path / "states.safetensors",
        how(training=TrainingFacts(LABEL, RobustZScore(), None)),
    )
    assert verdict.passed
    assert verdict.checks["scaler"] == "skipped: the panel is not the one trained on"


@pytest.mark.parametrize("row", [0, 57, 158])
def test_noise_leaves_the_past_and_makes_valid_bars(row: int) -> None:
    panel = bars()
    other = noise_after(panel, row, np.random.default_rng(0))
    np.testing.assert_array_equal(other.values[: row + 1], panel.values[: row + 1])
    np.testing.assert_array_equal(other.listed[: row + 1], panel.listed[: row + 1])
    np.testing.assert_array_equal(other.tradable[: row + 1], panel.tradable[: row + 1])
    later = other[row + 1 :]
    assert (~later.listed[0]).any()
    assert (later.listed[0] & ~later.tradable[0]).any()
    assert not np.isclose(later.values, panel.values[row + 1 :]).any()
    assert np.isfinite(later.values).all()
    assert (later.values > 0).all()
    assert (later["low"] <= np.minimum(later["open"], later["close"])).all()
    assert (later["high"] >= np.maximum(later["open"], later["close"])).all()


def test_noise_in_one_asset_and_a_later_listing_touch_nothing_else() -> None:
    panel = bars(late=False)
    noisy, late = noise_in(panel, 2, np.random.default_rng(0)), unlisted(panel, 2, until=50)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(noisy.values[:, others], panel.values[:, others])
    assert not np.isclose(noisy.values[:, 2], panel.values[:, 2]).any()
    assert not late.listed[:50, 2].any()
    assert late.listed[50:].all()
    assert late.listed[:, others].all()


class PeeksOutside(FrozenEncoder):
    """Adds what stands at the end of the panel to every state, beside the window."""

    def rows(self, store: WindowStore, days: Any, tokens: bool = False) -> EncodedDays:
        found = super().rows(store, days, tokens)
        return found._replace(market=found.market + float(store.features[-1].sum()))


def test_an_encoder_that_looks_outside_its_window_is_caught(tmp_path: Path) -> None:
    honest = frozen()
    found = faults(tmp_path, PeeksOutside(honest.pipeline, honest.encoder))
    assert any(line.startswith("window: market moved") and "outside the windows" in line for line in found)
