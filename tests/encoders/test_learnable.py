"""What fitting and training are given ends where the encoder may know no more: a spy looks at all of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from encoders.base import Encoder, Encoding
from encoders.baselines.closed_form import ScoreEncoder, cross_sections_of
from encoders.data import TrainingData, prepare
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from encoders.windows import InputShape, Window
from market.prices.fills import Fill
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore
from tests.encoders.tiny import SPLIT, Moves, Tiny, TinyEncoder, bars, tiny_data

SEEN: list[TrainingData] = []


def labels_in(data: TrainingData) -> Iterator[tuple[str, Any]]:
    yield "store", data.store.forward_return.numpy()
    yield "returns", data.returns


@pytest.mark.parametrize("fill", ["close", "next_close"])
def test_no_label_reaches_beyond_fit_end(fill: Fill) -> None:
    whole = prepare(bars(), Moves(), RobustZScore(), 8, Label(fill=fill), SPLIT)
    data = whole.learnable
    last = data.days.valid.stop - 1
    assert data.panel.dates[-1] == data.fit_end == whole.fit_end
    for name, label in labels_in(data):
        assert len(label) == len(data.panel), name
        assert np.isfinite(label[last]).any(), name
        assert not np.isfinite(label[last + 1 :]).any(), name
    assert len(data.store.features) == len(data.store.prices) == len(data.store.listed) == len(data.panel)
    assert data.evaluated_parts.keys() == {"valid"}


def test_train_and_valid_stay_what_they_were() -> None:
    whole, data = tiny_data(), tiny_data().learnable
    rows = slice(0, whole.days.valid.stop)
    assert (data.days.train, data.days.valid) == (whole.days.train, whole.days.valid)
    np.testing.assert_array_equal(data.train_days, whole.train_days)
    np.testing.assert_array_equal(data.returns[rows], whole.returns[rows])
    torch.testing.assert_close(data.store.forward_return[rows], whole.store.forward_return[rows], equal_nan=True)


def test_later_labels_and_prices_are_not_behind_a_view() -> None:
    whole = tiny_data()
    data = whole.learnable
    for name in ("forward_return", "prices", "listed"):
        assert (
            getattr(data.store, name).untyped_storage().data_ptr()
            != getattr(whole.store, name).untyped_storage().data_ptr()
        )
    for own, theirs in ((data.returns, whole.returns), (data.panel.values, whole.panel.values)):
        assert not np.shares_memory(own, theirs)
        assert own.base is None


@dataclass(frozen=True)
class Spy:
    """Remembers the label of every window it was ever shown, and forecasts the one of the nearest."""

    lookback: int = 8
    kept: list[TrainingData] = field(default_factory=lambda: SEEN)

    def build(self, shape: InputShape) -> "SpyEncoder":
        return SpyEncoder(self, shape)

    def fit(self, data: TrainingData, seed: int) -> "SpyEncoder":
        self.kept.append(data)
        encoder = self.build(data.store.shape)
        everything = np.arange(self.lookback - 1, len(data.store.features))
        cells = list(cross_sections_of(data, everything))
        features = torch.cat([one.features for one in cells])
        label = torch.cat([one.label for one in cells])
        known = label.isfinite()
        encoder.features, encoder.labels = features[known], label[known]
        return encoder


class SpyEncoder(ScoreEncoder):
    def __init__(self, config: Spy, shape: InputShape) -> None:
        super().__init__(None)
        self.register_buffer("features", torch.zeros(0, shape.n_features))
        self.register_buffer("labels", torch.zeros(0))

    def score(self, features: Float[Tensor, "B N F"], mask: Any) -> Float[Tensor, "B N"]:
        nearest = torch.cdist(features.flatten(0, 1), self.features).argmin(1)
        return self.labels[nearest].reshape(features.shape[:2])

    def get_extra_state(self) -> Tensor:
        return torch.cat([self.features, self.labels[:, None]], 1)

    def set_extra_state(self, state: Tensor) -> None:
        self.features, self.labels = state[:, :-1].clone(), state[:, -1].clone()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        found = super().state_dict(*args, **kwargs)
        for name in ("features", "labels"):
            found.pop(name)
        return found

    def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        return super().load_state_dict(state, strict=False)


def test_a_memory_of_labels_knows_train_and_valid_but_not_test(tmp_path: Path) -> None:
    SEEN.clear()
    data = tiny_data()
    metrics = pretrain(Experiment(Spy(), data, Optim(epochs=1, batch_size=16, precision="fp32")), tmp_path)
    [shown] = SEEN
    assert shown.panel.dates[-1] == data.fit_end
    assert metrics["valid"]["rank_ic"] > 0.95
    assert abs(metrics["test"]["rank_ic"]) < 0.5


class Watching(TinyEncoder):
    """Keeps the days and labels of every window that the training path shows it in training."""

    seen: list[Window] = []  # noqa: RUF012

    def forward(self, window: Window) -> Encoding:
        if self.training:
            self.seen.append(window)
        return super().forward(window)


@dataclass(frozen=True)
class Watched(Tiny):
    kept: list[TrainingData] = field(default_factory=lambda: SEEN)

    def build(self, shape: InputShape) -> Watching:
        return Watching(self, shape)

    def begin(self, encoder: Encoder, data: TrainingData) -> None:
        self.kept.append(data)


def test_a_network_is_prepared_and_trained_on_the_same(tmp_path: Path) -> None:
    SEEN.clear()
    Watching.seen.clear()
    data = tiny_data()
    pretrain(Experiment(Watched(), data, Optim(epochs=1, batch_size=16, precision="fp32")), tmp_path)
    assert SEEN[0].panel.dates[-1] == data.fit_end
    assert max(int(window.day.max()) for window in Watching.seen) < data.days.train.stop
