"""The probe finds signal where it is, and says where it is lost."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.base import Encoder, Encoding, Forecast, Inference, State
from encoders.data import TrainingData
from encoders.probe import Probe
from encoders.windows import Window
from tests.encoders.test_storm import TINY
from tests.encoders.tiny import LOOKBACK, bars, tiny_data


class Leaky(Encoder):
    """Tokens hold the inputs before the quantiser and noise after it; states hold the inputs, the forecast its sign."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(-1.0))

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        return {}

    def forward(self, window: Window) -> Encoding:
        raise AssertionError("a probe never sees the training path")

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        asset = features[:, -1].where(mask[..., None], 0.0)
        noise = torch.randn(asset.shape, generator=torch.Generator().manual_seed(int(1e3 * features.abs().sum())))
        token = torch.cat([asset, noise], -1)[:, :, None]
        mean = (self.sign * asset[..., 0]).where(mask, torch.nan)
        state = State(asset, asset.mean(1), None)
        days = torch.zeros(len(mask), LOOKBACK, 2)
        raw = {"time_series": token, "cross_section": days} if tokens else {}
        return Inference(state, Forecast(mean, torch.ones_like(mean)), raw)


def planted(n_days: int = 160) -> TrainingData:
    data = tiny_data(bars(n_days, 6))
    signal = data.store.features[..., 0]
    label = torch.roll(data.store.forward_return, 0, 0) * 0.2 + 0.02 * signal
    return replace(data, store=replace(data.store, forward_return=label), returns=label.double().numpy())


def test_signal_is_found_where_it_is_and_missed_where_it_is_lost() -> None:
    found = Probe(every=1, batch=16, parts=("valid", "test")).measure(Leaky(), planted())
    assert list(found) == [
        "inputs",
        "time_series before, last",
        "time_series before, all",
        "time_series after, last",
        "time_series after, all",
        "asset state",
        "forecast",
    ]
    for part in ("valid", "test"):
        value = {name: place.rank_ic[part] for name, place in found.items()}
        assert value["inputs"] > 0.8
        assert value["time_series before, last"] == pytest.approx(value["inputs"], abs=0.02)
        assert value["asset state"] == pytest.approx(value["inputs"], abs=0.02)
        assert abs(value["time_series after, last"]) < 0.3
        assert value["forecast"] < -0.8  # as it is: the probe does not fit it
    assert {name: place.width for name, place in found.items()}["inputs"] == 4


def test_a_probe_fits_train_days_alone() -> None:
    data = planted()
    later = data.store.forward_return.clone()
    later[data.days.valid.start :] = torch.from_numpy(np.random.default_rng(0).normal(0, 1, later.shape)).float()[
        data.days.valid.start :
    ]
    other = replace(data, store=replace(data.store, forward_return=later))
    assert Probe(every=1).measure(Leaky(), data) == Probe(every=1).measure(Leaky(), other)


def test_storm_tells_both_sides_of_its_quantiser() -> None:
    data = tiny_data()
    encoder = TINY.build(data.store.shape)
    found = Probe(every=4, batch=8).measure(encoder, data)
    assert found["time_series before, all"].width == found["time_series after, all"].width == 2 * 16
    assert all(np.isfinite(place.rank_ic["valid"]) for place in found.values())
