"""FactorVAE: a variational autoencoder whose latents are the factors of a linear factor model of returns.

Reference: Duan et al. (2022), FactorVAE: a probabilistic dynamic factor model based on variational autoencoder for
predicting cross-sectional stock returns, AAAI-22. Equation numbers are the paper's. It does not report the sizes.

Differs from the reference, because:

* the heads of the prior share one map to keys and one to values, and have their own query and last layer: a pair of
  maps for each of 96 heads would cost more than all the rest and is what one linear map before the query can say;
* labels enter as standard deviations from their mean over train, clipped at five: a likelihood is not for outliers;
* the divergence is a mean over factors, so that its weight means the same at any number of them;
* an optional term rewards the correlation of the prior's forecast with the label's ranks; without weight by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.bars import BarHistory, BarReader, bar_columns
from encoders.base import Encoder, Encoding, Forecast, Inference, State, evaluating
from encoders.common.distributions import Normal, positive_std
from encoders.common.layers import masked_mean, masked_softmax, pack, unpack
from encoders.common.losses import LabelScale, gaussian_kl, gaussian_nll, rank_terms
from encoders.windows import InputShape, Window

TINY = 1e-6


@dataclass(frozen=True)
class FactorVAE(BarReader):
    """Everything that decides a FactorVAE.

    Attributes:
        lookback: Days of history that a window holds.
        hidden: Width of an asset's embedding (H).
        portfolios: Portfolios whose returns the posterior sees (M).
        factors: Factors (K).
        likelihood: Weight of the negative log likelihood of labels under the posterior of the factors.
        kl: Weight of the divergence of that posterior from the prior.
        rank: Weight of one minus the correlation of the prior's forecast with the label's ranks.
        pairwise: Weight of wrongly ordered pairs of assets in the prior's forecast.
        listwise: Weight of the cross-entropy between forecast and label as shares of the day.
        bars: Reads the last columns of the features as 60 days of bars; None takes all features alike.
    """

    lookback: int = 20
    hidden: int = 64
    portfolios: int = 128
    factors: int = 96
    likelihood: float = 1.0
    kl: float = 1.0
    rank: float = 0.0
    pairwise: float = 0.0
    listwise: float = 0.0
    bars: BarHistory | None = None

    def build(self, shape: InputShape) -> "FactorVAEEncoder":
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: The windows have another look-back.
        """
        shape.check_lookback(self.lookback)
        return FactorVAEEncoder(self, shape)


class Covariance(NamedTuple):
    """Covariance of the labels of a day, ``diag(specific) + loadings @ loadings.T``; zero where masked."""

    specific: Float[Tensor, "B N"]
    loadings: Float[Tensor, "B N K"]

    def dense(self) -> Float[Tensor, "B N N"]:
        """Returns the whole matrix."""
        return torch.diag_embed(self.specific) + self.loadings @ self.loadings.mT


def tdrisk(forecast: Forecast, risk_aversion: float) -> Float[Tensor, "B N"]:
    """Returns the score of the paper's risk-averse strategy (TDrisk): the mean less so many deviations."""
    return forecast.mean - risk_aversion * forecast.std


class Head(nn.Module):
    """A normal variable by linear maps from a feature."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_inputs, n_outputs)
        self.width = nn.Linear(n_inputs, n_outputs)

    def forward(self, value: Float[Tensor, "*b i"]) -> Normal:
        """Returns the variable."""
        return Normal(self.mean(value), positive_std(self.width(value)))


class Embedding(nn.Module):
    """Embedding of an asset's window: a recurrent network over its embedded features, on the last day (eq. 4-5).

    Where there are bars they have a network of their own, whose answer is added.
    """

    def __init__(self, n_features: int, hidden: int, bars: BarHistory | None = None) -> None:
        super().__init__()
        self.hidden, self.n_bars = hidden, bar_columns(bars)
        self.features = nn.Linear(n_features - self.n_bars, hidden)
        self.days = nn.GRU(hidden, hidden)
        self.bars = None if bars is None else bars.build(hidden)

    def forward(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N H"]:
        """Returns the embeddings, zero where masked."""
        own = features[..., : features.shape[-1] - self.n_bars]
        embedded = rearrange(F.leaky_relu(self.features(own)), "b l n h -> l (b n) h")
        rows = embedded[:, rearrange(mask, "b n -> (b n)")]  # after the embedding, which is the narrower one to copy
        if not rows.shape[1]:  # the recurrent kernels refuse to work for nobody
            return features.new_zeros(*mask.shape, self.hidden)
        _, last = self.days(rows)
        found = last[0].float()
        if self.bars is not None:
            found = found + self.bars(pack(features[:, -1, :, -self.n_bars :], mask)).float()
        return unpack(found, mask)


class Posterior(nn.Module):
    """Factors as the returns of learnt portfolios tell them; what only training sees (eq. 6-8)."""

    def __init__(self, config: FactorVAE) -> None:
        super().__init__()
        self.weights = nn.Linear(config.hidden, config.portfolios)
        self.factors = Head(config.portfolios, config.factors)

    def forward(self, asset: Float[Tensor, "B N H"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]) -> Normal:
        """Returns the factors; only assets with a known label are held."""
        score = rearrange(self.weights(asset), "b n m -> b m n")
        held = masked_softmax(score, rearrange(known, "b n -> b 1 n"))
        factors: Normal = self.factors(einsum(held, label.where(known, 0.0), "b m n, b n -> b m"))
        return factors


class Prior(nn.Module):
    """Factors as the embeddings tell them, one attention head each (eq. 13-16)."""

    def __init__(self, config: FactorVAE) -> None:
        super().__init__()
        H, K = config.hidden, config.factors
        self.query = nn.Parameter(torch.randn(K, H) / H**0.5)
        self.key = nn.Linear(H, H)
        self.value = nn.Linear(H, H)
        self.mean = nn.Parameter(torch.randn(K, H) / H**0.5)
        self.width = nn.Parameter(torch.randn(K, H) / H**0.5)
        self.mean_bias = nn.Parameter(torch.zeros(K))
        self.width_bias = nn.Parameter(torch.zeros(K))

    def forward(self, asset: Float[Tensor, "B N H"], mask: Bool[Tensor, "B N"]) -> Normal:
        """Returns the factors."""
        keys = F.normalize(self.key(asset), dim=-1)
        cosine = einsum(F.normalize(self.query, dim=-1), keys, "k h, b n h -> b k n")
        kept = F.relu(cosine) * rearrange(mask, "b n -> b 1 n")
        weight = kept / (reduce(kept, "b k n -> b k 1", "sum") + TINY)
        seen = F.leaky_relu(einsum(weight, self.value(asset), "b k n, b n h -> b k h"))
        mean = einsum(seen, self.mean, "b k h, k h -> b k") + self.mean_bias
        width = einsum(seen, self.width, "b k h, k h -> b k") + self.width_bias
        return Normal(mean, positive_std(width))


class FactorVAEDecoder(nn.Module):
    """Returns from factors: what is an asset's own, and how far it follows each factor (eq. 9-12)."""

    def __init__(self, config: FactorVAE) -> None:
        super().__init__()
        self.inner = nn.Linear(config.hidden, config.hidden)
        self.own = Head(config.hidden, 1)
        self.exposure = nn.Linear(config.hidden, config.factors)

    def forward(self, asset: Float[Tensor, "B N H"]) -> tuple[Normal, Float[Tensor, "B N K"]]:
        """Returns the own part of each asset's return and its exposures."""
        own = self.own(F.leaky_relu(self.inner(asset)))
        return Normal(own.mean[..., 0], own.std[..., 0]), self.exposure(asset)


class FactorVAEOutput(NamedTuple):
    """Asset embeddings, exposures and prior of a day, before any label; in standard units."""

    asset: Float[Tensor, "B N H"]
    own: Normal
    exposure: Float[Tensor, "B N K"]
    prior: Normal

    def returns(self, factors: Normal) -> Normal:
        """Returns the distribution of each asset's return, factors and own part together."""
        mean = self.own.mean + einsum(self.exposure, factors.mean, "b n k, b k -> b n")
        variance = einsum(self.exposure.square(), factors.std.square(), "b n k, b k -> b n")
        return Normal(mean, (self.own.std.square() + variance).sqrt())


class FactorVAEEncoder(Encoder):
    """A set function over assets; see `FactorVAE`.

    An asset's state is its embedding and its exposures ``[e, β]``, the market's mean and deviation of the prior's
    factors ``[μ, σ]``.
    """

    def __init__(self, config: FactorVAE, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(shape.n_features, config.hidden, config.bars)
        self.posterior = Posterior(config)
        self.prior = Prior(config)
        self.decoder = FactorVAEDecoder(config)
        self.label_scale = LabelScale()

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Nothing is quantised."""
        return {}

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter (eq. 17)."""
        mask, label = window.mask, window.forward_return
        known, config = mask & label.isfinite(), self.config
        if self.training:
            self.label_scale.observe(label, known)
        day = self._look(window.features, mask)
        with torch.autocast(label.device.type, enabled=False):
            standard = self.label_scale.standard(label, known)
            posterior: Normal = self.posterior(day.asset, standard, known)
            divergence = gaussian_kl(posterior.mean, posterior.std, day.prior.mean, day.prior.std)
            prior_returns = day.returns(day.prior)
            terms = {
                "likelihood": config.likelihood * gaussian_nll(*day.returns(posterior), standard, known),
                "kl": config.kl * masked_mean(divergence, known.any(-1, keepdim=True)),
                **rank_terms(config, prior_returns.mean, label, known),
            }
        return Encoding.summed(terms, self._forecast(prior_returns, mask))

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast, in evaluation mode whatever the mode the encoder is in; there are no tokens."""
        with evaluating(self):
            day = self._look(features, mask)
        asset = torch.cat([day.asset, day.exposure], -1).where(rearrange(mask, "b n -> b n 1"), 0.0)
        market = torch.cat([day.prior.mean, day.prior.std], -1)
        return Inference(State(asset, market, None), self._forecast(day.returns(day.prior), mask), {})

    @torch.no_grad()
    def covariance(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> Covariance:
        """Returns the covariance of the labels under the prior, exactly and in the label's own units (eq. 12).

        Its diagonal is the squared `std` of the forecast.
        """
        with evaluating(self):
            day = self._look(features, mask)
        scale = self.label_scale.std
        specific = (scale * day.own.std).square().where(mask, 0.0)
        loadings = scale * day.exposure * rearrange(day.prior.std, "b k -> b 1 k")
        return Covariance(specific, loadings.where(rearrange(mask, "b n -> b n 1"), 0.0))

    def _look(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> FactorVAEOutput:
        asset = self.embedding(features, mask)
        with torch.autocast(features.device.type, enabled=False):
            own, exposure = self.decoder(asset)
            return FactorVAEOutput(asset, own, exposure, self.prior(asset, mask))

    def _forecast(self, returns: Normal, mask: Bool[Tensor, "B N"]) -> Forecast:
        mean, std = self.label_scale.restore(returns.mean.detach(), returns.std.detach())
        return Forecast(mean.where(mask, torch.nan), std.where(mask, torch.nan))
