"""A market, features and an encoder so small that whole runs take a second."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from encoders.base import Encoder, Encoding, Forecast, Inference, State
from encoders.data import TrainingData, prepare
from encoders.quantizers import EMA
from encoders.windows import InputShape, Window
from market.features import Feature
from market.panel import BARS, Panel
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore, Scaling
from market.splits import Split

DAYS, ASSETS, LOOKBACK = 160, 6, 8
SPLIT = Split(train=("2020-01-01", "2020-04-09"), valid=("2020-04-12", "2020-05-09"), test=("2020-05-12", "2020-06-08"))
LABEL = Label(fill="next_close", horizon=1)


def bars(n_days: int = DAYS, n_assets: int = ASSETS, seed: int = 0, late: bool = True) -> Panel:
    """Returns random bars in which yesterday's return helps to tell tomorrow's; one asset is listed late."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.02, (n_days, n_assets))
    returns = noise.copy()
    for t in range(2, n_days):
        returns[t] += 0.8 * returns[t - 2]
    close = 50 * np.exp(np.cumsum(returns, axis=0))
    opened = close * np.exp(rng.normal(0, 0.005, close.shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, 0.005, close.shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, 0.005, close.shape)))
    volume = np.exp(rng.normal(12, 0.5, close.shape))
    values = np.stack([opened, high, low, close, volume], axis=-1)
    listed = np.ones((n_days, n_assets), dtype=bool)
    if late:
        listed[: n_days // 3, -1] = False
        values[: n_days // 3, -1] = np.nan
    dates = np.datetime64("2020-01-01") + np.arange(n_days)
    return Panel(dates, tuple(f"A{k}" for k in range(n_assets)), BARS, values, listed, listed.copy())


@dataclass(frozen=True)
class Moves:
    """Stand-in features: returns of one and two days, range and volume change, of today or shifted to the future."""

    shift: int = 0  # rows to look ahead, which an honest feature set never does

    def table(self) -> tuple[Feature, ...]:
        """Returns nothing: these are not written as formulas."""
        return ()

    def compute(self, panel: Panel) -> Panel:
        """Returns four features."""
        close, volume = panel["close"], panel["volume"]
        one = close / np.roll(close, 1, axis=0) - 1
        two = close / np.roll(close, 2, axis=0) - 1
        one[:1], two[:2] = np.nan, np.nan
        width = panel["high"] / panel["low"] - 1
        turnover = np.log(volume / np.roll(volume, 1, axis=0))
        turnover[:1] = np.nan
        values = np.roll(np.stack([one, two, width, turnover], axis=-1), -self.shift, axis=0).astype(np.float32)
        return Panel(panel.dates, panel.assets, ("one", "two", "range", "turnover"), values, panel.listed, panel.listed)


@dataclass(frozen=True)
class Tiny:
    """A linear encoder with dropout, noise and a quantiser."""

    lookback: int = LOOKBACK
    dim: int = 8
    codebook_size: int = 8
    dropout: float = 0.2

    def build(self, shape: InputShape) -> "TinyEncoder":
        """Returns a new encoder."""
        return TinyEncoder(self, shape)


class TinyEncoder(Encoder):
    """Embeds the last day and the mean of the window; forecasts from the embedding; quantises it."""

    def __init__(self, config: Tiny, shape: InputShape) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(2 * shape.n_features, config.dim), nn.Tanh(), nn.Dropout(config.dropout))
        self.head = nn.Linear(config.dim, 1)
        self.reconstruct = nn.Linear(config.dim, shape.lookback * shape.n_prices)
        self.quantizer = EMA(config.codebook_size).build(config.dim)

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        return {"moves": self.quantizer.codebook_size}

    @property
    def tokens_per_day(self) -> Mapping[str, int]:
        return {"moves": ASSETS}

    def embedded(self, features: Tensor) -> Tensor:
        return self.embed(torch.cat([features[:, -1], features.mean(1)], dim=-1))

    def forward(self, window: Window) -> Encoding:
        hidden = self.embedded(window.features)
        quantised = self.quantizer(hidden.flatten(0, 1), window.mask.flatten())
        mean = self.head(hidden)[..., 0]
        known = window.mask & window.forward_return.isfinite()
        noise = 0.01 * torch.randn_like(mean) if self.training else 0.0
        label = torch.where(known, window.forward_return, 0.0)
        error = ((mean + noise - 20 * label).square() * known).sum() / known.sum().clamp(min=1)
        flat = self.reconstruct(quantised.quantised).unflatten(0, window.mask.shape)
        rebuilt = flat.unflatten(-1, window.prices.shape[1::2]).movedim(2, 1)
        reconstruction = (rebuilt - window.prices).square().mean()
        terms = {"error": error, "reconstruction": reconstruction, **quantised.loss_terms}
        codes = {"moves": quantised.codes.unflatten(0, window.mask.shape)}
        detached = {name: term.detach() for name, term in terms.items()}
        return Encoding(sum(terms.values()), detached, self.forecast(mean, window.mask), codes, rebuilt)

    def forecast(self, mean: Tensor, mask: Tensor) -> Forecast:
        mean = (mean / 20).masked_fill(~mask, torch.nan)
        return Forecast(mean, torch.ones_like(mean).masked_fill(~mask, torch.nan))

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        hidden = self.embedded(features)
        quantised = self.quantizer(hidden.flatten(0, 1), mask.flatten())
        shown = mask[..., None]
        asset = torch.where(shown, hidden, 0.0)
        market = asset.sum(1) / shown.sum(1).clamp(min=1)
        state = State(asset, market, quantised.codes.unflatten(0, mask.shape)[..., None])
        raw = {"moves": quantised.quantised.unflatten(0, mask.shape)} if tokens else {}
        return Inference(state, self.forecast(self.head(hidden)[..., 0], mask), raw)


def tiny_data(
    panel: Panel | None = None, features: Moves | None = None, scaling: Scaling | None = None, lookback: int = LOOKBACK
) -> TrainingData:
    """Returns training data of the tiny market."""
    return prepare(panel or bars(), features or Moves(), scaling or RobustZScore(), lookback, LABEL, SPLIT)
