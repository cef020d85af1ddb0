"""Loss terms of encoders: every one is a mean over what is known, so that no weight depends on B, L or N.

NaN and mask policy: labels may be NaN where they are not known; all else is finite. What is masked carries no
gradient. Where nothing is known a term is zero.
"""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.base import Encoding, Forecast
from encoders.common.layers import NEVER, masked_mean
from encoders.distributed import summed_over_ranks
from encoders.windows import Window

LABEL_CLIP = 5.0
"""Standard deviations beyond which a label no longer moves a likelihood: returns have tails that a Gaussian lacks."""


class LabelScale(nn.Module):
    """Mean and standard deviation of all labels seen in training, over all ranks.

    Inside a model labels are standard; outside they keep their own units, whether those are returns or ranks.
    """

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("square", torch.ones((), dtype=torch.float64))

    @property
    def std(self) -> Float[Tensor, ""]:
        """Standard deviation of the labels; one where none was seen."""
        return (self.square - self.mean.square()).clamp(min=1e-12).sqrt().float()

    @torch.no_grad()
    def observe(self, label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]) -> None:
        """Counts the labels of a training batch."""
        seen = label[known].double()
        sums = torch.stack([torch.ones_like(seen).sum(), seen.sum(), seen.square().sum()])
        sums = summed_over_ranks(sums)
        if sums[0] > 0:
            self.count += sums[0]
            self.mean += (sums[1] - sums[0] * self.mean) / self.count
            self.square += (sums[2] - sums[0] * self.square) / self.count

    def standard(self, label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns labels as standard deviations from the mean, clipped; zero where unknown."""
        label = label.where(known, self.mean.float())
        return ((label - self.mean.float()) / self.std).clamp(-LABEL_CLIP, LABEL_CLIP)

    def restore(
        self, mean: Float[Tensor, "B N"], std: Float[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        """Returns a standard forecast in the label's own units."""
        return self.mean.float() + self.std * mean, self.std * std


def gaussian_nll(
    mean: Float[Tensor, "B N"], std: Float[Tensor, "B N"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Returns the mean negative log density of known labels, without the constant ``log(2 pi) / 2``."""
    label = label.where(known, 0.0)
    return masked_mean(std.log() + 0.5 * ((label - mean) / std).square(), known)


def likelihood_of(forecast: Forecast, window: Window) -> Encoding:
    """Returns the negative log likelihood of the labels under a forecast, which has nothing to descend."""
    known = window.mask & window.forward_return.isfinite()
    mean, std = forecast.mean.where(known, 0.0), forecast.std.where(known, 1.0)
    loss = gaussian_nll(mean, std, window.forward_return, known)
    return Encoding(loss, {"likelihood": loss.detach()}, forecast, {}, None)


def gaussian_kl(
    mean: Float[Tensor, "*s"], std: Float[Tensor, "*s"], prior_mean: Float[Tensor, "*s"], prior_std: Float[Tensor, "*s"]
) -> Float[Tensor, "*s"]:
    """Returns the divergence of each normal from its prior, zero where they agree."""
    ratio = (std / prior_std).square()
    return 0.5 * (ratio - 1.0 - ratio.log() + ((mean - prior_mean) / prior_std).square())


def cross_sectional_ranks(value: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Returns each known value's share of the known values of its day below it, ties counting half; else zero."""
    pairs = rearrange(known, "b n -> b n 1") & rearrange(known, "b n -> b 1 n")
    mine, other = rearrange(value, "b n -> b n 1"), rearrange(value, "b n -> b 1 n")
    below = ((mine > other) & pairs).sum(-1) + 0.5 * ((mine == other) & pairs).sum(-1)
    return below.float() / known.sum(-1, keepdim=True).clamp(min=1)


def rank_loss(
    forecast: Float[Tensor, "B N"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Returns one minus the daily correlation of forecasts with label ranks, a mean over days: 0 best, 2 worst.

    It is the differentiable half of RankIC: the label is ranked, the forecast is not. Only days count that know at
    least three labels, not all of them equal.
    """
    target = _centred(cross_sectional_ranks(label, known), known)
    score = _centred(forecast.where(known, 0.0), known)
    counted = (known.sum(-1) >= 3) & (target.square().sum(-1) > 0)
    norm = (target.square().sum(-1) + 1e-8).sqrt() * (score.square().sum(-1) + 1e-8).sqrt()
    return masked_mean(1.0 - (target * score).sum(-1) / norm, counted)


def pairwise_rank_loss(
    forecast: Float[Tensor, "B N"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Returns the mean of ``relu(-(difference of forecasts) (difference of labels))`` over pairs of assets of a day.

    Only wrongly ordered pairs count. What is added to all forecasts, or labels, of a day changes nothing. A mean over
    the days that know at least two labels; memory is that of one day's pairs at a time, and its gradient's.
    """
    days = []
    for score, target, there in zip(forecast, label, known, strict=True):
        score, target = score[there], target[there]
        if len(score) > 1:
            gaps = (score[:, None] - score) * (target[:, None] - target)
            days.append(F.relu(-gaps).sum() / (len(score) * (len(score) - 1)))
    return torch.stack(days).mean() if days else forecast.sum() * 0.0


def listwise_rank_loss(
    forecast: Float[Tensor, "B N"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]
) -> Float[Tensor, ""]:
    """Returns how far a day's forecasts, as shares by softmax, are from the shares of its label ranks.

    The divergence of the softmax of forecasts from that of label ranks in standard units (of deviation one), a mean
    over days with at least three labels; zero where both shares agree, so that adding a number to all forecasts of a
    day changes nothing.

    Reference: Cao et al. (2007), Learning to rank: from pairwise approach to listwise approach, equation 5.
    """
    counted = known.sum(-1) >= 3
    target = (cross_sectional_ranks(label, known) - 0.5) * 12**0.5
    wanted, found = (value.masked_fill(~known, NEVER).log_softmax(-1) for value in (target, forecast))
    divergence = (wanted.exp() * (wanted - found)).where(known, 0.0).sum(-1)
    return masked_mean(divergence, counted)


@runtime_checkable
class RankWeights(Protocol):
    """Weights of the losses of ranks, in the configuration of an encoder; a loss without weight is not computed."""

    @property
    def rank(self) -> float:
        """Weight of `rank_loss`."""
        ...

    @property
    def pairwise(self) -> float:
        """Weight of `pairwise_rank_loss`."""
        ...

    @property
    def listwise(self) -> float:
        """Weight of `listwise_rank_loss`."""
        ...


def rank_terms(
    weights: RankWeights, forecast: Float[Tensor, "B N"], label: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]
) -> dict[str, Tensor]:
    """Returns the weighted losses of a forecast's ranks by name: ``rank`` always, the others where they have weight.

    The pair-wise loss sees labels as centred ranks of deviation one, so that its weight means the same for any label.
    """
    terms = {"rank": weights.rank * rank_loss(forecast, label, known)}
    if weights.pairwise:
        target = (cross_sectional_ranks(label, known) - 0.5) * 12**0.5
        terms["pairwise"] = weights.pairwise * pairwise_rank_loss(forecast, target, known)
    if weights.listwise:
        terms["listwise"] = weights.listwise * listwise_rank_loss(forecast, label, known)
    return terms


def price_inconsistency(prices: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """Returns by how much a low lies above, or a high below, its open and close; zero for possible bars."""
    opened, high, low, close = prices.unbind(-1)
    return F.relu(low - torch.minimum(opened, close)) + F.relu(torch.maximum(opened, close) - high)


def info_nce(
    one: Float[Tensor, "B d"], other: Float[Tensor, "B d"], mask: Bool[Tensor, " B"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Returns the symmetric contrastive loss: each day's two views must find each other among the days of the batch.

    Args:
        one: First view.
        other: Second view.
        mask: Days that count; the others are no candidates either.
        scale: Inverse temperature.

    Reference: Radford et al. (2021), CLIP, figure 3. https://arxiv.org/abs/2103.00020
    """
    if not mask.any():
        return scale * 0.0
    similarity = F.normalize(one[mask], dim=-1) @ F.normalize(other[mask], dim=-1).mT * scale
    target = torch.arange(len(similarity), device=similarity.device)
    return 0.5 * (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.mT, target))


def _centred(value: Float[Tensor, "B N"], known: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    mean = value.sum(-1, keepdim=True) / known.sum(-1, keepdim=True).clamp(min=1)
    return (value - mean).where(known, 0.0)
