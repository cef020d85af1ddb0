"""An encoder of one's own: a frozen configuration, a network, and the check that both keep the contract."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn

from encoders import Encoder, Encoding, Forecast, Inference, State
from encoders.common.layers import masked_mean
from encoders.testing import check_encoder


@dataclass(frozen=True)
class Flat:
    """A window flattened into one layer.

    Attributes:
        lookback: Days in a window.
        dim: Width of an asset's state.
    """

    lookback: int = 8
    dim: int = 64

    def build(self, shape):
        """Returns the network for inputs of this shape."""
        return FlatEncoder(self, shape)


class FlatEncoder(Encoder):
    """The network of `Flat`."""

    codebook_sizes = {}  # noqa: RUF012

    def __init__(self, config, shape):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(shape.lookback * shape.n_features, config.dim), nn.Tanh())
        self.head = nn.Linear(config.dim, 1)

    def infer(self, features, mask, calendar, *, tokens=False):
        """Returns state and forecast; no label reaches this method."""
        asset = self.embed(rearrange(features, "B L N F -> B N (L F)")).where(mask[..., None], 0.0)
        mean = 0.02 * self.head(asset)[..., 0].where(mask, torch.nan)  # in the units of the label
        market = asset.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return Inference(State(asset, market, None), Forecast(mean, mean * 0 + 1), {})

    def forward(self, window):
        """Returns the loss of a batch, its terms, and the forecast."""
        forecast = self.infer(window.features, window.mask, window.calendar).forecast
        known = window.mask & window.forward_return.isfinite()
        error = (forecast.mean.where(known, 0.0) - window.forward_return.where(known, 0.0)).square()
        loss = masked_mean(error, known) / 0.02**2
        return Encoding(loss, {"error": loss.detach()}, Forecast(*(part.detach() for part in forecast)), {}, None)


if __name__ == "__main__":
    check_encoder(Flat())
    print("Flat keeps the contract of every encoder")
