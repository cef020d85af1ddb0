"""Principal components of the cross-section of returns: the factors that every learnt factor is measured by.

The windows hold one feature, the return of the day. Each asset is standardised by its own train days; assets that are
not listed stand at zero. What a day's factors say of tomorrow is learnt in the only way that linear factors allow: the
forecast is linear in every pair of a loading of the asset and a factor of the day, by ridge regression, which is a
first-order vector autoregression of the factors seen through the loadings.
"""

from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor

from encoders.base import State
from encoders.baselines.closed_form import cross_sections_of
from encoders.baselines.ridge import Ridge, RidgeEncoder
from encoders.data import TrainingData
from encoders.windows import InputShape
from market.arrays import FloatArray


@dataclass(frozen=True)
class PCA:
    """Everything that decides principal components and their forecast.

    Attributes:
        lookback: Days for which an asset must have been listed; the return of the last one is read.
        factors: Components that are kept.
        forecast: How tomorrow is regressed on today's factors; its look-back is not used.
    """

    lookback: int = 1
    factors: int = 5
    forecast: Ridge = Ridge()

    def build(self, shape: InputShape) -> "PCAEncoder":
        """Returns an encoder whose factors are all zero; `fit` returns one that has learnt.

        Raises:
            ValueError: There are fewer assets than factors, or the windows hold more than the return.
        """
        if shape.n_features != 1:
            raise ValueError(
                f"PCA: reads one feature, the return of the day, the windows hold {shape.n_features}; "
                "use features=Formulas((Feature('RET1', 'close / delay(close, 1) - 1'),))"
            )
        if not 1 <= self.factors <= shape.n_assets:
            raise ValueError(f"PCA: {self.factors} factors of {shape.n_assets} assets; use 1 to {shape.n_assets}")
        return PCAEncoder(self, shape.n_assets)

    def fit(self, data: TrainingData, seed: int) -> "PCAEncoder":
        """Returns the components of the train days, and the regression with the penalty that ranks valid best.

        Raises:
            ValueError: The train days hold fewer components than there are factors.
        """
        encoder = self.build(data.store.shape)
        encoder.learn_factors(data)
        encoder.regress(data)
        return encoder


class PCAEncoder(RidgeEncoder):
    """Fixed assets by place; `PCA` fits it.

    The market's state is the day's factors, each of unit variance over train; an asset's its loadings, the correlations
    of its return with the factors: ``return = centre + scale (loadings · factors + rest)``.

    Attributes:
        centre: ``[N]`` mean return of each asset over its train days.
        scale: ``[N]`` its standard deviation there; one where it never moved.
        loadings: ``[N, K]`` of standardised returns on unit factors; of the two signs of a factor, that with the
            positive sum.
        variance: ``[K]`` of the components, decreasing.
        explained: ``[K]`` shares of all variance.
    """

    centre: Tensor
    scale: Tensor
    loadings: Tensor
    variance: Tensor
    explained: Tensor

    def __init__(self, config: PCA, n_assets: int) -> None:
        super().__init__(config.forecast, config.factors**2)
        self.register_buffer("centre", torch.zeros(n_assets))
        self.register_buffer("scale", torch.ones(n_assets))
        self.register_buffer("loadings", torch.zeros(n_assets, config.factors))
        self.register_buffer("variance", torch.ones(config.factors))
        self.register_buffer("explained", torch.zeros(config.factors))

    def factors(self, features: Float[Tensor, "B N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B K"]:
        """Returns the factors of a day.

        Raises:
            ValueError: There are other assets than those it was fitted on.
        """
        if features.shape[1] != len(self.centre):
            raise ValueError(f"PCA: fitted on {len(self.centre)} assets, asked about {features.shape[1]}; fit it again")
        with torch.autocast(features.device.type, enabled=False):
            standard = self._standard(features, mask)
            return einsum(standard, self.loadings / self.variance, "b n, n k -> b k")

    def regressors(self, features: Float[Tensor, "B N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N R"]:
        """Returns each pair of a loading of the asset and a factor of the day."""
        pairs = einsum(self.loadings, self.factors(features, mask), "n j, b k -> b n j k")
        return rearrange(pairs, "b n j k -> b n (j k)").where(rearrange(mask, "b n -> b n 1"), 0.0)

    def state(self, score: Float[Tensor, "B N"], features: Float[Tensor, "B N 1"], mask: Bool[Tensor, "B N"]) -> State:
        """Returns loadings and factors."""
        loadings = repeat(self.loadings, "n k -> b n k", b=len(mask))
        return State(loadings.where(rearrange(mask, "b n -> b n 1"), 0.0), self.factors(features, mask), None)

    @torch.no_grad()
    def reconstruct(self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the last day as its factors explain it, in the feature's own units; NaN where masked."""
        factors = self.factors(features[:, -1].where(rearrange(mask, "b n -> b n 1"), 0.0), mask)
        return self._restored(einsum(factors, self.loadings, "b k, n k -> b n"), mask)

    @torch.no_grad()
    def draw(
        self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"], generator: torch.Generator
    ) -> Float[Tensor, "B N"]:
        """Returns a simulated day for each of these, in the feature's own units; NaN where masked.

        Factors are standard normal, and so is what each asset adds of its own, at the size of what they leave over.
        Nothing of the days themselves is used.
        """
        factors = torch.randn(len(mask), self.loadings.shape[1], generator=generator).to(features.device)
        noise = torch.randn(mask.shape, generator=generator).to(features.device)
        rest = (1 - self.loadings.square().sum(1)).clamp(min=0).sqrt()
        return self._restored(einsum(factors, self.loadings, "b k, n k -> b n") + rest * noise, mask)

    def learn_factors(self, data: TrainingData) -> None:
        """Learns the components of the train days.

        Raises:
            ValueError: They hold fewer than the factors asked for.
        """
        returns = np.concatenate([_returns(*cells[:2]) for cells in cross_sections_of(data, data.train_days)])
        known = np.isfinite(returns)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, returns, 0).sum(axis=0) / count
        spread = np.sqrt(np.square(np.where(known, returns - centre, 0)).sum(axis=0) / count)
        scale = np.where(spread > 0, spread, 1.0)
        standard = np.where(known, (returns - centre) / scale, 0)
        variance, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
        K = len(self.variance)
        kept = variance[::-1][:K]
        if kept[-1] <= 1e-9 * kept[0]:
            raise ValueError(f"PCA: {K} factors, but {len(standard)} train days hold fewer; use fewer factors")
        loadings = vectors[:, ::-1][:, :K] * np.sqrt(kept)
        loadings *= np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
        found = (centre, scale, loadings, kept, kept / variance.sum())
        for name, value in zip(("centre", "scale", "loadings", "variance", "explained"), found, strict=True):
            getattr(self, name).copy_(torch.from_numpy(value.copy()))

    def _standard(self, features: Float[Tensor, "B N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        return ((features[..., 0] - self.centre) / self.scale).where(mask, 0.0)

    def _restored(self, standard: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        return (self.centre + self.scale * standard).where(mask, torch.nan)


def _returns(features: Float[Tensor, "B N 1"], mask: Bool[Tensor, "B N"]) -> FloatArray:
    returns: FloatArray = features[..., 0].where(mask, torch.nan).double().numpy()
    return returns
