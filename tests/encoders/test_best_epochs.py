"""Averages of the best epochs, dropout of feature groups, calibrated deviations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import encoders.training.loop as training
from encoders.checkpoint import Checkpoint
from encoders.testing.windows import make_window
from encoders.training.best_epochs import BestEpochs
from encoders.training.calibration import HALF_WIDTH, coverage, std_scale
from encoders.training.feature_dropout import FeatureDropout
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from market.forecasts import Forecasts
from market.scaling.scalers import RobustZScore
from tests.encoders.test_storm import SHAPE, TINY
from tests.encoders.tiny import Moves, Tiny, tiny_data

OPTIM = Optim(epochs=4, batch_size=16, learning_rate=1e-2, precision="fp32", patience=None, warmup=0.1)


def test_the_best_epochs_are_kept_and_averaged(tmp_path: Path) -> None:
    best, scores = BestEpochs(tmp_path, 2), [0.1, 0.3, None, 0.2, 0.25]
    for epoch in range(len(scores)):
        weights = {"w": torch.full((2,), float(epoch)), "count": torch.tensor(epoch)}
        best.keep(scores[: epoch + 1], weights)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_1.safetensors", "epoch_4.safetensors"]
    average = best.average(scores)
    assert average["w"].tolist() == [2.5, 2.5]
    assert int(average["count"]) == 1  # no fraction: that of the best


@pytest.mark.parametrize(("value", "kept"), [(0.9, True), (0.1, False)])
def test_an_average_is_kept_where_it_is_better_on_valid_and_not_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, kept: bool
) -> None:
    scores, seen = [0.3, 0.5, 0.2, 0.4], []

    def score(valid: dict[str, dict[str, float]], metric: str) -> float:
        loss = valid["loss"]["total"]  # tells the epochs apart, and the average from all of them
        if loss not in seen:
            seen.append(loss)
        return [*scores, value][seen.index(loss)]

    monkeypatch.setattr(training, "score", score)
    pretrain(Experiment(Tiny(), tiny_data(), replace(OPTIM, average_best=3)), tmp_path)
    saved, best = Checkpoint.load(tmp_path / "model.safetensors"), BestEpochs(tmp_path / "last", 3)
    expected = best.average(scores) if kept else best.average([None, 1.0])
    np.testing.assert_array_equal(saved.weights["head.weight"], expected["head.weight"])
    assert saved.about["value"] == (value if kept else 0.5)


def test_groups_of_features_are_dropped_together_for_a_whole_day() -> None:
    torch.manual_seed(0)
    names = ("ROC5", "ROC60", "CLOSE59", "CLOSE0", "KMID", "MARKET_EQUAL", "REALISED")
    window = make_window(TINY, replace(SHAPE, n_features=7), n_days=400)
    ones = window._replace(features=torch.ones_like(window.features))
    found = FeatureDropout(names, 0.25)(ones).features
    assert (found == found[:, :1, :1]).all()  # one fate for all assets and days of a window
    day = found[:, 0, 0]
    assert day[:, 0].equal(day[:, 1])
    assert day[:, 2].equal(day[:, 3])
    assert (day[:, 5:] == 1).all()
    assert day[:, :5].unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((day[:, [0, 2, 4]] == 0).float().mean()) == pytest.approx(0.25, abs=0.05)
    assert not torch.corrcoef(day[:, [0, 2, 4]].T).triu(1).abs().max() > 0.2


def test_nothing_is_drawn_where_nothing_is_to_be_dropped() -> None:
    state, window = torch.get_rng_state(), make_window(TINY, SHAPE)
    assert FeatureDropout(tuple("abcde"), 0.0)(window) is window
    assert torch.get_rng_state().equal(state)


def test_training_drops_features_and_judging_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    call = FeatureDropout.__call__

    def watch(self: FeatureDropout, window: object) -> object:
        seen.append(True)
        return call(self, window)  # type: ignore[arg-type]

    monkeypatch.setattr(FeatureDropout, "__call__", watch)
    experiment = Experiment(Tiny(), tiny_data(), replace(OPTIM, epochs=1, feature_dropout=0.5))
    run = training._Run(experiment, tmp_path)
    pretrain(experiment, tmp_path)
    assert len(seen) == run.n_batches


def forecasts_of(std: float, seed: int = 0) -> tuple[object, Forecasts]:
    data = tiny_data()
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, 0.01, data.returns.shape)
    label = mean + rng.normal(0, 0.02, mean.shape)
    store = replace(data.store, forward_return=torch.from_numpy(label).float())
    return replace(data, store=store), Forecasts(mean, np.full(mean.shape, std), np.ones(mean.shape, np.bool_))


@pytest.mark.parametrize("std", [0.005, 0.02, 0.5])
def test_deviations_are_scaled_until_nine_in_ten_labels_are_covered(std: float) -> None:
    data, forecasts = forecasts_of(std)
    part = slice(0, 100)
    scale = std_scale(data, forecasts, part)
    assert scale * std == pytest.approx(0.02, rel=0.1)
    scaled = forecasts._replace(std=forecasts.std * scale)
    assert coverage(data, scaled, part) == pytest.approx(0.9, abs=0.005)
    assert coverage(data, scaled, slice(100, 160)) == pytest.approx(0.9, abs=0.06)


def test_coverage_counts_cells_by_hand() -> None:
    data, forecasts = forecasts_of(0.02)
    label = data.store.forward_return.numpy()[:50]
    inside = np.abs(label - forecasts.mean[:50]) <= HALF_WIDTH * 0.02
    assert coverage(data, forecasts, slice(0, 50)) == pytest.approx(inside.mean())
    nothing = forecasts._replace(mask=np.zeros_like(forecasts.mask))
    assert coverage(data, nothing, slice(0, 50)) is None
    assert std_scale(data, nothing, slice(0, 50)) == 1.0


def test_a_run_calibrates_on_valid_and_deploys_it(tmp_path: Path) -> None:
    data = tiny_data()
    metrics = pretrain(Experiment(Tiny(), data, OPTIM), tmp_path)
    assert metrics["valid"]["coverage_90"] == pytest.approx(0.9, abs=0.02)
    checkpoint = Checkpoint.load(tmp_path / "model.safetensors")
    scale = metrics["std_scale"]
    assert checkpoint.about["std_scale"] == scale != 1.0
    frozen = checkpoint.restore(Tiny(), Moves(), RobustZScore())
    days = data.window_days(data.days.test)
    window = data.store.gather(torch.from_numpy(days))
    raw = frozen.encoder.predict(window.features, window.mask, window.calendar).std.numpy()
    np.testing.assert_allclose(frozen.rows(data.store, days).forecast_std, raw * np.float32(scale), rtol=1e-6)
