"""What a fitted forecaster must satisfy: the conformance suite, with a fit where others take steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from encoders.base import Encoder
from encoders.baselines.closed_form import ClosedForm
from encoders.data import TrainingData
from encoders.testing.checks import assert_same, check_shapes
from encoders.testing.windows import N_ASSETS, inputs
from encoders.windows import InputShape, Window, WindowStore
from evaluation.prediction import daily_rank_ic
from tests.encoders.conformance import Conformance
from tests.encoders.tiny import tiny_data

N_FEATURES = 5


def planted(strength: float = 1.0, shuffled: bool = False, seed: int = 0, n_assets: int = 30) -> TrainingData:
    """Returns noise for features, of which the first two forecast the label.

    The oracle's correlation with the label is `strength` over the root of its square plus one.
    """
    data = tiny_data()
    generator = np.random.default_rng(seed)
    n_days = len(data.panel)
    features = generator.normal(size=(n_days, n_assets, N_FEATURES)).astype(np.float32)
    signal = strength * (features[..., 0] - features[..., 1]) / np.sqrt(2)
    if shuffled:
        signal = generator.permutation(signal)
    market = generator.normal(size=(n_days, 1))
    returns = 0.01 * (signal + generator.normal(size=signal.shape)) + 0.01 * market
    store = WindowStore(
        features=torch.from_numpy(features),
        calendar=data.store.calendar,
        prices=torch.ones(n_days, n_assets, 4),
        listed=torch.ones(n_days, n_assets, dtype=torch.bool),
        forward_return=torch.from_numpy(returns.astype(np.float32)),
        lookback=1,
    )
    return replace(data, store=store, returns=returns)


def with_labels(data: TrainingData, rows: slice, seed: int = 5) -> TrainingData:
    """Returns the data with noise for the labels and features of some rows."""
    draw = torch.Generator().manual_seed(seed)
    label, features = data.store.forward_return.clone(), data.store.features.clone()
    label[rows] = torch.randn(label[rows].shape, generator=draw)
    features[rows] = torch.randn(features[rows].shape, generator=draw)
    return replace(data, store=replace(data.store, forward_return=label, features=features))


def assert_equal_encoders(one: Encoder, other: Encoder) -> None:
    for name, value in one.state_dict().items():
        assert value.equal(other.state_dict()[name]), f"{name} differs"


class ClosedFormConformance(Conformance):
    """A subclass sets `config`, and other `data` where it needs them. What is about gradients is about the fit here."""

    config: ClosedForm
    shape = InputShape(lookback=1, n_features=N_FEATURES, n_calendar=3, n_prices=4, n_assets=N_ASSETS)

    def data(self, shuffled: bool = False) -> TrainingData:
        return planted(shuffled=shuffled)

    def oracle(self, data: TrainingData) -> torch.Tensor:
        return data.store.features[..., 0] - data.store.features[..., 1]

    @pytest.fixture
    def encoder(self) -> Encoder:
        return self.config.fit(self.data(), 0)

    def test_every_parameter_gets_a_gradient(self, encoder: Encoder, window: Window) -> None:
        assert not any(parameter.requires_grad for parameter in encoder.parameters()), "it is fitted, not trained"

    def test_overfits_one_batch(self, window: Window) -> None:
        """It learns what is there to learn: most of a planted signal, and nothing of a shuffled one."""
        data = self.data()
        days = torch.from_numpy(data.window_days(data.days.test))
        found, nothing = (
            self.rank_ic(self.config.fit(each, 0), each, days) for each in (data, self.data(shuffled=True))
        )
        assert found > 0.8 * _rank_ic(self.oracle(data)[days], data, days)
        chance = 1 / np.sqrt((data.store.shape.n_assets - 1) * len(days))
        assert abs(nothing) < 3 * chance, "shuffled labels must teach nothing"

    def rank_ic(self, encoder: Encoder, data: TrainingData, days: torch.Tensor) -> float:
        return _rank_ic(encoder.predict(*inputs(data.store.gather(days))).mean, data, days)

    def test_seed_decides_everything(self, window: Window) -> None:
        assert_equal_encoders(self.config.fit(self.data(), 3), self.config.fit(self.data(), 3))

    def test_masked_values_are_invisible_to_training(self, window: Window) -> None:
        data = self.data()
        listed = data.store.listed.clone()
        listed[::2, 1] = False
        known = replace(data, store=replace(data.store, listed=listed))
        values = data.store.features.where(listed[..., None], 37.0)
        label = data.store.forward_return.where(listed, 1.0)
        moved = replace(known, store=replace(known.store, features=values, forward_return=label))
        assert_equal_encoders(self.config.fit(known, 0), self.config.fit(moved, 0))
        assert not self.config.fit(data, 0).error.equal(self.config.fit(known, 0).error), "the mask does nothing"

    def test_test_rows_are_invisible_to_the_fit(self) -> None:
        data = self.data()
        fitted = self.config.fit(data, 0)
        assert_equal_encoders(fitted, self.config.fit(with_labels(data, data.days.test), 0))
        moved = self.config.fit(with_labels(data, data.days.train), 0)
        assert not moved.error.equal(fitted.error), "the train rows do nothing"

    def test_save_and_load(self, encoder: Encoder, window: Window) -> None:
        twin = self.config.build(self.shape)
        twin.load_state_dict(load(save(encoder.state_dict())))
        assert_same(encoder.infer(*inputs(window)), twin.infer(*inputs(window)), "saving and loading", exact=True)

    def test_bf16_is_finite(self, encoder: Encoder, window: Window) -> None:
        plain = encoder.infer(*inputs(window))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_same(plain, encoder.infer(*inputs(window)), "half precision", exact=True)

    def test_a_day_without_assets(self, encoder: Encoder, window: Window) -> None:
        mask = window.mask.index_fill(0, torch.tensor([2]), False)
        empty = window._replace(mask=mask, forward_return=window.forward_return.where(mask, torch.nan))
        check_shapes(encoder, empty)
        assert encoder(empty).loss.isfinite()

    def test_forecasts_are_in_the_units_of_the_label(self, encoder: Encoder) -> None:
        data = self.data()
        days = torch.from_numpy(data.train_days)
        mean, std = encoder.predict(*inputs(data.store.gather(days)))
        label = data.store.forward_return[days]
        torch.testing.assert_close(mean.mean(), label.mean(), rtol=0.0, atol=1e-3)
        torch.testing.assert_close((label - mean).square().mean().sqrt(), std[0, 0])
        slope = ((label - label.mean(1, keepdim=True)) * mean).sum() / (
            (mean - mean.mean(1, keepdim=True)).square().sum()
        )
        assert 0.8 < float(slope) < 1.6, "a forecast twice as high does not promise twice as much"


def _rank_ic(score: torch.Tensor, data: TrainingData, days: torch.Tensor) -> float:
    label = data.returns[days.numpy()]
    return float(np.nanmean(daily_rank_ic(score.double().numpy(), label, np.ones(label.shape, dtype=bool))))
