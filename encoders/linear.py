"""Ridge regression of the label on the last day's features, the first baseline of every encoder.

Reference: Hoerl and Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems, equation 2.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.closed_form import Cells, ScoreEncoder, cells_of
from encoders.pipeline import TrainingData
from encoders.windows import InputShape
from evaluation.prediction import daily_rank_ic
from market.labels import Transform


@dataclass(frozen=True)
class Ridge:
    """Everything that decides a ridge regression, pooled over days and assets.

    With a `target` features are taken about their mean over the day's listed assets, as the target is: only what tells
    assets apart can help.

    Attributes:
        lookback: Days for which an asset must have been listed; the features of the last one are read.
        alphas: Penalties on the squared coefficients beside the mean squared error; the one with the highest RankIC
            on the valid days is kept.
        target: What is learnt: ``rank`` or ``zscore`` of the label within its day, or None for the label.
    """

    lookback: int = 1
    alphas: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    target: Transform | None = "rank"

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 < alpha < float("inf") for alpha in self.alphas):
            raise ValueError(f"Ridge: alphas are {self.alphas}, expected positive numbers, at least one")

    def build(self, shape: InputShape) -> "RidgeEncoder":
        """Returns an encoder that forecasts the same for all; `fit` returns one that has learnt."""
        return RidgeEncoder(self, shape)

    def fit(self, data: TrainingData, seed: int) -> "RidgeEncoder":
        """Returns the regression on the train days, with the penalty that ranks the valid days best."""
        encoder = self.build(data.store.shape)
        encoder.learn_units(data)
        moments = Moments(data.store.shape.n_features)
        for cells in cells_of(data, data.train_days):
            moments.add(*encoder.rows(cells))
        solved = [moments.solve(alpha) for alpha in self.alphas]
        scores = [_rank_ic(encoder, data, *solution) for solution in solved]
        encoder.put(*solved[int(np.argmax(scores))])
        encoder.learn_error(data)
        return encoder


class Moments:
    """Sums of a regression in double precision, over as many rows as one likes; `F` features."""

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.sums = torch.zeros(n_features + 1, dtype=torch.float64)
        self.squares = torch.zeros(n_features + 1, n_features + 1, dtype=torch.float64)

    def add(self, features: Float[Tensor, "S F"], target: Float[Tensor, " S"]) -> None:
        """Counts some rows."""
        rows = torch.cat([features, target[:, None]], dim=1).double()
        self.count += len(rows)
        self.sums += rows.sum(0)
        self.squares.addmm_(rows.mT, rows)

    def solve(self, alpha: float) -> tuple[Float[Tensor, " F"], Float[Tensor, ""]]:
        """Returns coefficients and intercept that are least in mean squared error plus `alpha` times their squares."""
        mean = self.sums / self.count
        covariance = self.squares / self.count - torch.outer(mean, mean)
        penalised = covariance[:-1, :-1] + alpha * torch.eye(len(mean) - 1, dtype=torch.float64)
        coefficient = torch.linalg.solve(penalised, covariance[:-1, -1])
        return coefficient, mean[-1] - mean[:-1] @ coefficient


class RidgeEncoder(ScoreEncoder):
    """A linear score; `Ridge` fits it."""

    def __init__(self, config: Ridge, shape: InputShape) -> None:
        super().__init__(config.target)
        self.coefficient = nn.Parameter(torch.zeros(shape.n_features), requires_grad=False)
        self.intercept = nn.Parameter(torch.zeros(()), requires_grad=False)

    def score(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the linear score of each asset."""
        with torch.autocast(features.device.type, enabled=False):
            return einsum(self._centred(features, mask), self.coefficient, "b n f, f -> b n") + self.intercept

    def rows(self, cells: Cells) -> tuple[Float[Tensor, "S F"], Float[Tensor, " S"]]:
        """Returns the cells with a known label as rows of a regression."""
        target = self.targets(cells.label)
        known = target.isfinite()
        return self._centred(cells.features, cells.mask)[known], target[known]

    def put(self, coefficient: Float[Tensor, " F"], intercept: Float[Tensor, ""]) -> None:
        """Takes over a solution."""
        self.coefficient.copy_(coefficient)
        self.intercept.copy_(intercept)

    def _centred(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N F"]:
        if self.target is None:
            return features
        count = rearrange(mask.sum(1), "b -> b 1 1").clamp(min=1)
        return features - features.sum(1, keepdim=True) / count


def _rank_ic(
    encoder: RidgeEncoder, data: TrainingData, coefficient: Float[Tensor, " F"], intercept: Float[Tensor, ""]
) -> float:
    """Returns the mean RankIC of a solution over the valid days, the lowest of numbers where it is undefined."""
    encoder.put(coefficient, intercept)
    daily = np.concatenate(list(_daily_rank_ic(encoder, data)))
    known = np.isfinite(daily)
    return float(daily[known].mean()) if known.any() else -np.inf


def _daily_rank_ic(encoder: RidgeEncoder, data: TrainingData) -> Iterator[np.ndarray]:
    for cells in cells_of(data, data.judged_days(data.days.valid)):
        score = encoder.score(cells.features, cells.mask).double().numpy()
        yield daily_rank_ic(score, cells.label.double().numpy(), cells.mask.numpy())
