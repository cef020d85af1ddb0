"""A codebook that descends the loss.

Orthogonality and diversity exist for it alone: in a codebook of running means they do nothing.

References: van den Oord et al. (2017), VQ-VAE, sections 3.1-3.2, https://arxiv.org/abs/1711.00937; Shin et al. (2021),
orthogonality, equation 2, https://arxiv.org/abs/2112.00384.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from encoders.quantizers.base import QuantizedTokens, Quantizer, assign
from encoders.quantizers.codebook import EmaUsage


@dataclass(frozen=True)
class Learnable:
    """A codebook that descends the loss, kept apart by orthogonality and in use by diversity.

    Attributes:
        codebook_size: Codes of the codebook.
        commitment: Weight of the pull of tokens to their codes; codes are pulled to tokens with weight one.
        orthogonality: Weight of the mean squared inner product of different unit codes.
        diversity: Weight of the negative entropy of the average soft assignment, in units of a uniform one's.
        temperature: Distance over which the soft assignment falls by e.
        decay: Share of the average use that a step keeps; decides how soon an unused code is dead.
        dead_share: A code is dead when its average use falls below this share of an equal one.
    """

    codebook_size: int = 512
    commitment: float = 0.25
    orthogonality: float = 1.0
    diversity: float = 0.1
    temperature: float = 1.0
    decay: float = 0.97
    dead_share: float = 0.1

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return LearnableQuantizer(dim, self)


class LearnableQuantizer(EmaUsage):
    """Codes are parameters."""

    def __init__(self, dim: int, config: Learnable) -> None:
        super().__init__(config.codebook_size, config.decay, config.dead_share)
        self.config = config
        self.codebook = nn.Parameter(torch.randn(config.codebook_size, dim))

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""
        if self.training:
            self.maintain(tokens)
        distance = distances(tokens.detach(), self.codebook)
        codes = distance.argmin(-1)
        counts = torch.bincount(codes, minlength=self.codebook_size)
        if self.training:
            self.count(counts)
        found, config = assign(tokens, self.codebook, codes), self.config
        terms = {
            "commitment": config.commitment * found.commitment_loss,
            "codebook": found.codebook_loss,
            "orthogonality": config.orthogonality * orthogonality(self.codebook),
            "diversity": config.diversity * diversity(distance, config.temperature),
        }
        return QuantizedTokens(found.quantised, codes, terms, counts)


def orthogonality(codebook: Float[Tensor, "C d"]) -> Float[Tensor, ""]:
    """Returns ``|E E' - I|^2 / C^2`` over unit codes: zero for an orthonormal codebook, ``1 - 1/C`` for equal codes."""
    unit = F.normalize(codebook, dim=-1)
    return (unit @ unit.mT - torch.eye(len(unit), device=unit.device)).square().mean()


def distances(tokens: Float[Tensor, "n d"], codebook: Float[Tensor, "C d"]) -> Float[Tensor, "n C"]:
    """Returns every token's distance to every code."""
    square = torch.addmm(codebook.square().sum(-1), tokens, codebook.mT, alpha=-2.0)
    return (square + tokens.square().sum(-1, keepdim=True)).clamp_(min=1e-6).sqrt_()


def diversity(distance: Float[Tensor, "n C"], temperature: float) -> Float[Tensor, ""]:
    """Returns the negative entropy of the tokens' mean soft assignment over log C: -1 where all codes are used alike.

    It moves codes towards where tokens are, not tokens to where they would be hard to tell apart.
    """
    share = (distance / -temperature).softmax(-1).sum(0) / max(len(distance), 1)
    return (share * share.clamp(min=1e-12).log()).sum() / math.log(distance.shape[1])
