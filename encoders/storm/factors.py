"""The prior-posterior factor model at the end of STORM: what the factors of a day are, and what assets earn by them.

Reference: Zhao et al. (2024), STORM, section 3.3, https://arxiv.org/abs/2412.09468, after Duan et al. (2022),
FactorVAE, sections 4.2-4.4, https://ojs.aaai.org/index.php/AAAI/article/view/20369.

Differs from the reference, because:

* factors attend over the assets and market tokens of one day; the reference attends over the days of the batch, so
  that a forecast depends on which other days are in it;
* means and variances of factors are decoded in closed form instead of from one random sample: the forecast is
  deterministic, and the loss has less noise;
* the standard deviation of a forecast contains the factors' part.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.common.distributions import Normal, positive_std
from encoders.common.layers import masked_softmax


@dataclass(frozen=True)
class StormFactors:
    """Size of the factor model.

    Attributes:
        n_factors: Number of latent factors.
        std_floor: Least standard deviation of an asset or a factor, in standard deviations of the label.
    """

    n_factors: int = 16
    std_floor: float = 0.05


class StormFactorOutput(NamedTuple):
    """Factors, prior and exposures of a batch of days, before any label is known."""

    factor: Float[Tensor, "B K D"]
    prior: Normal
    alpha: Normal
    exposure: Float[Tensor, "B N K"]

    def returns(self, factors: Normal) -> Normal:
        """Returns the label's mean and standard deviation where the factors are distributed like this."""
        mean = self.alpha.mean + einsum(self.exposure, factors.mean, "b n k, b k -> b n")
        spread = einsum(self.exposure.square(), factors.std.square(), "b n k, b k -> b n")
        return Normal(mean, (self.alpha.std.square() + spread).sqrt())


class StormFactorModel(nn.Module):
    """Learnt queries find a day's factors; assets have an exposure to each, and a part of their own.

    Assets enter as a set. Masked ones are no keys of the attention and hold no share of a portfolio.

    Shapes: `B` days, `N` assets, `K` factors, `D` width, `X` market tokens.
    """

    def __init__(self, dim: int, config: StormFactors) -> None:
        super().__init__()
        self.floor = config.std_floor
        self.queries = nn.Parameter(torch.randn(config.n_factors, dim))
        self.keys = nn.Linear(dim, 2 * dim)
        self.norm = nn.LayerNorm(dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.prior = nn.Linear(dim, 2)
        self.alpha = nn.Linear(dim, 2)
        self.exposed, self.exposing = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.held, self.holding = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.posterior = nn.Sequential(nn.Linear(dim + 1, dim), nn.GELU(), nn.Linear(dim, 2))

    def forward(
        self, asset: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"], market: Float[Tensor, "B X D"]
    ) -> StormFactorOutput:
        """Returns factors, their prior, and every asset's exposure and own part; no label enters."""
        key, value = rearrange(self.keys(torch.cat([market, asset], 1)), "b s (two d) -> two b s d", two=2)
        visible = torch.cat([mask.new_ones(market.shape[:2]), mask], 1)
        query = repeat(self.queries, "k d -> b k d", b=len(asset))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=rearrange(visible, "b s -> b 1 s"))
        factor = self.norm(query + found)
        factor = factor + self.perceptron(factor)
        exposure = einsum(self.exposed(asset), self.exposing(factor), "b n d, b k d -> b n k") / asset.shape[-1]
        return StormFactorOutput(factor, self._normal(self.prior(factor)), self._normal(self.alpha(asset)), exposure)

    def infer_factors(
        self,
        day: StormFactorOutput,
        asset: Float[Tensor, "B N D"],
        label: Float[Tensor, "B N"],
        known: Bool[Tensor, "B N"],
    ) -> Normal:
        """Returns the posterior of the factors given labels, seen through one portfolio of known assets per factor."""
        score = einsum(self.holding(day.factor), self.held(asset), "b k d, b n d -> b k n") / asset.shape[-1] ** 0.5
        weight = masked_softmax(score, rearrange(known, "b n -> b 1 n"))
        earned = einsum(weight, label, "b k n, b n -> b k")
        return self._normal(self.posterior(torch.cat([earned[..., None], day.factor], -1)))

    def _normal(self, heads: Float[Tensor, "B X 2"]) -> Normal:
        return Normal(heads[..., 0], positive_std(heads[..., 1], self.floor))
