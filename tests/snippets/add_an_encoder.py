from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn

from encoders.base import Encoder, Encoding, Forecast, Inference, State
from encoders.layers import masked_mean
from tests.encoders.conformance import SetConformance


@dataclass(frozen=True)
class Flat:  # to use it in a run, put both classes into a file of their own in encoders/
    lookback: int = 8
    dim: int = 64

    def build(self, shape):
        return FlatEncoder(self, shape)


class FlatEncoder(Encoder):
    codebook_sizes = {}  # noqa: RUF012

    def __init__(self, config, shape):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(shape.lookback * shape.n_features, config.dim), nn.Tanh())
        self.head = nn.Linear(config.dim, 1)

    def infer(self, features, mask, calendar, *, tokens=False):
        asset = self.embed(rearrange(features, "B L N F -> B N (L F)")).where(mask[..., None], 0.0)
        mean = 0.02 * self.head(asset)[..., 0].where(mask, torch.nan)  # in the units of the label
        market = asset.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return Inference(State(asset, market, None), Forecast(mean, mean * 0 + 1), {})

    def forward(self, window):
        forecast = self.infer(window.features, window.mask, window.calendar).forecast
        known = window.mask & window.forward_return.isfinite()
        error = (forecast.mean.where(known, 0.0) - window.forward_return.where(known, 0.0)).square()
        loss = masked_mean(error, known) / 0.02**2
        return Encoding(loss, {"error": loss.detach()}, Forecast(*(part.detach() for part in forecast)), {}, None)


class TestFlat(SetConformance):
    config = Flat()
