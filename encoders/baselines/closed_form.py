"""Forecasters that are fitted at once instead of step by step, behind the contract of every encoder.

A configuration with a `fit` is a `ClosedForm`: `encoders.training.loop.pretrain` calls it once where others take
epochs, and all that follows (checkpoint, metrics, extraction, audit) is the same. What they share is here: which cells
of the data they learn from, and `ScoreEncoder`, which turns one number an asset into a forecast and a state.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from encoders.base import Encoder, EncoderConfig, Encoding, Forecast, Inference, State
from encoders.common.losses import likelihood_of
from encoders.data import TrainingData
from encoders.windows import Window
from market.arrays import IntArray
from market.prices.labels import Transform
from market.scaling.cross_section import cross_sectional_rank, cross_sectional_zscore

BLOCK = 64  # days looked at together, which bounds memory and decides no result but its rounding


@runtime_checkable
class ClosedForm(EncoderConfig, Protocol):
    """A configuration whose encoder is fitted in one go."""

    def fit(self, data: TrainingData, seed: int) -> Encoder:
        """Returns the encoder fitted on the train days of `data`; other days decide only what the class says.

        It is given `TrainingData.learnable`, which ends at `TrainingData.fit_end`: what a model remembers of it cannot
        be a label of a test day.
        Every process of a launch fits the same data and gets the same encoder.
        """
        ...


class CrossSections(NamedTuple):
    """Some days as a forecaster of the last day sees them; masked features are zero, unknown targets NaN."""

    features: Float[Tensor, "B N F"]
    mask: Bool[Tensor, "B N"]
    label: Float[Tensor, "B N"]


def cross_sections_of(data: TrainingData, days: IntArray) -> Iterator[CrossSections]:
    """Yields the last days of the windows that end on `days`, in order, a few days at a time."""
    store = data.store
    for start in range(0, len(days), BLOCK):
        rows = torch.from_numpy(days[start : start + BLOCK])
        mask = store.listed[rows[:, None] + torch.arange(1 - store.lookback, 1)].all(dim=1)
        features = store.features[rows].where(rearrange(mask, "b n -> b n 1"), 0.0)
        yield CrossSections(features, mask, store.forward_return[rows].where(mask, torch.nan))


class ScoreEncoder(Encoder):
    """Forecasts from one score an asset and day: what the label would be in standard units.

    With a `target` the score forecasts the label's place in its day's cross-section (`market.prices.labels.Label`),
    without one the label itself in standard deviations from its mean. The forecast is the score in the label's own
    units, its error the root mean square of what it left over on train, one number for all assets.

    Unless a class says otherwise an asset's state is its score, and the market's the mean and the standard deviation of
    the scores of the day.
    """

    level: Tensor
    spread: Tensor
    error: Tensor

    def __init__(self, target: Transform | None) -> None:
        super().__init__()
        self.target = target
        for name, value in (("level", 0.0), ("spread", 1.0), ("error", 1.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Nothing is quantised."""
        return {}

    @abstractmethod
    def score(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the scores of a day from its features, which are zero where masked; finite."""

    def forward(self, window: Window) -> Encoding:
        """Returns the negative log likelihood of the labels; there is nothing to descend."""
        return likelihood_of(self.predict(window.features, window.mask, window.calendar), window)

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast; there are no tokens."""
        shown = features[:, -1].where(rearrange(mask, "b n -> b n 1"), 0.0)
        score = self.score(shown, mask).where(mask, 0.0)
        forecast = (self.level + self.spread * score).float().where(mask, torch.nan)
        error = self.error.float().expand_as(forecast).where(mask, torch.nan)
        return Inference(self.state(score, shown, mask), Forecast(forecast, error), {})

    def state(self, score: Float[Tensor, "B N"], features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> State:
        """Returns the states of days with these scores and features, both zero where masked."""
        mean = _mean(score, mask)
        spread = _mean((score - mean).where(mask, 0.0).square(), mask).sqrt()
        return State(rearrange(score, "b n -> b n 1"), torch.cat([mean, spread], -1), None)

    def targets(self, label: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns what the score of each cell should have been; NaN where the label is."""
        if self.target is None:
            return ((label - self.level) / self.spread).float()
        transform = cross_sectional_rank if self.target == "rank" else cross_sectional_zscore
        return torch.from_numpy(np.asarray(transform(label.numpy()), dtype=np.float32))

    def learn_units(self, data: TrainingData) -> None:
        """Learns mean and standard deviation of the labels of the train days; about each day's mean with a target."""
        labels = torch.cat([cells.label for cells in cross_sections_of(data, data.train_days)]).double()
        self.level.copy_(labels.nanmean())
        centre = self.level if self.target is None else labels.nanmean(1, keepdim=True)
        self.spread.copy_((labels - centre).square().nanmean().sqrt().clamp(min=1e-12))

    def learn_error(self, data: TrainingData) -> None:
        """Learns what the forecast leaves over on the train days."""
        total, count = torch.zeros((), dtype=torch.float64), 0
        for cells in cross_sections_of(data, data.train_days):
            left = cells.label - self.level - self.spread * self.score(cells.features, cells.mask)
            total += left.square().nansum()
            count += int(left.isfinite().sum())
        self.error.copy_((total / count).sqrt().clamp(min=1e-12))


def _mean(value: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B 1"]:
    return value.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
