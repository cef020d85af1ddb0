"""No codebook at all: a fixed grid, which is vector-quantize-pytorch's.

Reference: Mentzer et al. (2023), FSQ. https://arxiv.org/abs/2309.15505
"""

import math
from dataclasses import dataclass

import torch
import vector_quantize_pytorch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from encoders.quantizers.base import Quantized, Quantizer


@dataclass(frozen=True)
class FSQ:
    """No codebook: a few bounded dimensions are rounded, and the codes are the grid. Nothing can collapse."""

    levels: tuple[int, ...] = (8, 8, 8)

    def build(self, dim: int, codebook_size: int) -> Quantizer:
        """Returns a new quantiser.

        Raises:
            ValueError: The levels do not multiply to the codebook size, or one is below three.
        """
        if math.prod(self.levels) != codebook_size or min(self.levels) < 3:
            raise ValueError(
                f"FSQ levels {self.levels} make {math.prod(self.levels)} codes, codebook_size says {codebook_size}; "
                "use levels of at least 3 whose product is the codebook size"
            )
        return FSQQuantizer(dim, self)


class FSQQuantizer(Quantizer):
    """Codes are the points of a fixed grid, between two projections."""

    def __init__(self, dim: int, config: FSQ) -> None:
        super().__init__(math.prod(config.levels))
        self.grid = vector_quantize_pytorch.FSQ(levels=list(config.levels), dim=dim)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantized:
        """Quantises tokens that all exist."""
        quantised, codes = self.grid(rearrange(tokens, "n d -> 1 n d"))
        codes = codes[0].long()
        return Quantized(quantised[0], codes, {}, torch.bincount(codes, minlength=self.codebook_size))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes, projected to the width of tokens."""
        points: Tensor = self.grid.indices_to_codes(codes.flatten()[None])[0]
        return points.reshape(*codes.shape, -1)
