"""No codebook at all: a fixed grid, which is vector-quantize-pytorch's.

Reference: Mentzer et al. (2023), FSQ. https://arxiv.org/abs/2309.15505
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from encoders.quantizers.base import QuantizedTokens, Quantizer


@dataclass(frozen=True)
class FSQ:
    """No codebook: a few bounded dimensions are rounded, and the codes are the grid. Nothing can collapse."""

    levels: tuple[int, ...] = (8, 8, 8)

    def __post_init__(self) -> None:
        if not self.levels or min(self.levels) < 3:
            raise ValueError(f"FSQ: levels are {self.levels}; use at least one, each of at least 3 values")

    @property
    def codebook_size(self) -> int:
        """Number of codes, the product of the levels."""
        return math.prod(self.levels)

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return FSQQuantizer(dim, self)


class FSQQuantizer(Quantizer):
    """Codes are the points of a fixed grid, between two projections."""

    def __init__(self, dim: int, config: FSQ) -> None:
        import vector_quantize_pytorch  # two seconds of imports, for those who quantise so

        super().__init__(config.codebook_size)
        self.grid = vector_quantize_pytorch.FSQ(levels=list(config.levels), dim=dim)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""
        quantised, codes = self.grid(rearrange(tokens, "n d -> 1 n d"))
        codes = codes[0].long()
        return QuantizedTokens(quantised[0], codes, {}, torch.bincount(codes, minlength=self.codebook_size))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes, projected to the width of tokens."""
        points: Tensor = self.grid.indices_to_codes(codes.flatten()[None])[0]
        return points.reshape(*codes.shape, -1)
