"""Ridge regression of the label on the last day's features, the first baseline of every encoder.

Reference: Hoerl and Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems, equation 2.3.
"""

from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.baselines.closed_form import ScoreEncoder, cross_sections_of
from encoders.data import TrainingData
from encoders.windows import InputShape
from evaluation.prediction import daily_rank_ic
from market.prices.labels import Transform


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
        return RidgeEncoder(self, shape.n_features)

    def fit(self, data: TrainingData, seed: int) -> "RidgeEncoder":
        """Returns the regression on the train days, with the penalty that ranks the valid days best."""
        encoder = self.build(data.store.shape)
        encoder.regress(data)
        return encoder


class RegressionSums:
    """Sums of a regression in double precision, over as many rows as one likes; `R` regressors."""

    def __init__(self, n_regressors: int) -> None:
        self.count = 0
        self.sums = torch.zeros(n_regressors + 1, dtype=torch.float64)
        self.squares = torch.zeros(n_regressors + 1, n_regressors + 1, dtype=torch.float64)

    def add(self, regressors: Float[Tensor, "S R"], target: Float[Tensor, " S"]) -> None:
        """Counts some rows."""
        rows = torch.cat([regressors, target[:, None]], dim=1).double()
        self.count += len(rows)
        self.sums += rows.sum(0)
        self.squares.addmm_(rows.mT, rows)

    def solve(self, alpha: float) -> tuple[Float[Tensor, " R"], Float[Tensor, ""]]:
        """Returns coefficients and intercept that are least in mean squared error plus `alpha` times their squares."""
        mean = self.sums / self.count
        covariance = self.squares / self.count - torch.outer(mean, mean)
        penalised = covariance[:-1, :-1] + alpha * torch.eye(len(mean) - 1, dtype=torch.float64)
        coefficient = torch.linalg.solve(penalised, covariance[:-1, -1])
        return coefficient, mean[-1] - mean[:-1] @ coefficient


class RidgeEncoder(ScoreEncoder):
    """A score that is linear in what `regressors` makes of a day, the features themselves; `Ridge` fits it."""

    def __init__(self, config: Ridge, n_regressors: int) -> None:
        super().__init__(config.target)
        self.alphas = config.alphas
        self.coefficient = nn.Parameter(torch.zeros(n_regressors), requires_grad=False)
        self.intercept = nn.Parameter(torch.zeros(()), requires_grad=False)

    def regressors(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N R"]:
        """Returns what the score is linear in; zero where masked."""
        return features

    def score(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the linear score of each asset."""
        with torch.autocast(features.device.type, enabled=False):
            return einsum(self._centred(features, mask), self.coefficient, "b n r, r -> b n") + self.intercept

    def regress(self, data: TrainingData) -> None:
        """Learns the score on the train days, with the penalty that ranks the valid days best."""
        self.learn_units(data)
        moments = RegressionSums(len(self.coefficient))
        for cells in cross_sections_of(data, data.train_days):
            target = self.targets(cells.label)
            known = target.isfinite()
            moments.add(self._centred(cells.features, cells.mask)[known], target[known])
        solved = [moments.solve(alpha) for alpha in self.alphas]
        ranked = [self._rank_ic(data, *solution) for solution in solved]
        self._put(*solved[int(np.argmax(ranked))])
        self.learn_error(data)

    def _put(self, coefficient: Float[Tensor, " R"], intercept: Float[Tensor, ""]) -> None:
        self.coefficient.copy_(coefficient)
        self.intercept.copy_(intercept)

    def _centred(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N R"]:
        regressors = self.regressors(features, mask)
        if self.target is None:
            return regressors
        count = rearrange(mask.sum(1), "b -> b 1 1").clamp(min=1)
        return regressors - regressors.sum(1, keepdim=True) / count

    def _rank_ic(self, data: TrainingData, coefficient: Float[Tensor, " R"], intercept: Float[Tensor, ""]) -> float:
        """Returns the mean RankIC of a solution over the valid days, the lowest of numbers where it is undefined."""
        self._put(coefficient, intercept)
        daily = np.concatenate(
            [
                daily_rank_ic(
                    self.score(cells.features, cells.mask).double().numpy(),
                    cells.label.double().numpy(),
                    cells.mask.numpy(),
                )
                for cells in cross_sections_of(data, data.labelled_days(data.days.valid))
            ]
        )
        known = np.isfinite(daily)
        return float(daily[known].mean()) if known.any() else -np.inf
