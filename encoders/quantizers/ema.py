"""A codebook of running means.

Reference: van den Oord et al. (2017), VQ-VAE, appendix A.1. https://arxiv.org/abs/1711.00937
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from encoders.distributed import summed_over_ranks
from encoders.quantizers.base import QuantizedTokens, Quantizer, mean_square, straight_through
from encoders.quantizers.codebook import EmaUsage, nearest


@dataclass(frozen=True)
class EMA:
    """A codebook that follows its tokens by exponential moving averages.

    Attributes:
        codebook_size: Codes of the codebook.
        decay: Share of the average that a step keeps.
        commitment: Weight of the pull of tokens to their codes.
        dead_share: A code is dead when its average use falls below this share of an equal one.
    """

    codebook_size: int = 512
    decay: float = 0.97
    commitment: float = 0.25
    dead_share: float = 0.1

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return EMAQuantizer(dim, self)


class EMAQuantizer(EmaUsage):
    """Codes are running means of the tokens that chose them."""

    def __init__(self, dim: int, config: EMA) -> None:
        super().__init__(config.codebook_size, config.decay, config.dead_share)
        self.commitment = config.commitment
        self.register_buffer("codebook", torch.randn(config.codebook_size, dim))
        self.register_buffer("total", torch.zeros(config.codebook_size, dim))

    total: Tensor

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist; in training the codebook then follows them."""
        if self.training:
            self.maintain(tokens)
        codes = nearest(tokens, self.codebook)
        found = self.lookup(codes)
        counts = torch.bincount(codes, minlength=self.codebook_size)
        if self.training:
            self.follow(tokens, codes, counts)
        terms = {"commitment": self.commitment * mean_square(tokens - found)}
        return QuantizedTokens(straight_through(tokens, found), codes, terms, counts)

    @torch.no_grad()
    def follow(self, tokens: Float[Tensor, "n d"], codes: Int[Tensor, " n"], counts: Int[Tensor, " C"]) -> None:
        """Moves every code that was used towards the mean of all tokens that chose it, on any rank."""
        self.count(counts)
        total = torch.zeros_like(self.total).index_add_(0, codes, tokens)
        self.total.lerp_(summed_over_ranks(total), 1.0 - self.decay)
        if self.initialised:
            self.codebook.copy_(self.total / self.use[:, None])

    def place(self, which: Int[Tensor, " c"], vectors: Float[Tensor, "c d"], use: float) -> None:
        """Puts codes at these vectors, as if each had been used so often."""
        super().place(which, vectors, use)
        self.total[which] = vectors * use
