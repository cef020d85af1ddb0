"""No quantiser at all: the twin of a quantised encoder, which tells what its codes cost or bring."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from encoders.quantizers.base import Quantized, Quantizer


@dataclass(frozen=True)
class Continuous:
    """Tokens pass as they are. There is no codebook, so the codebook size is 0."""

    def build(self, dim: int, codebook_size: int) -> Quantizer:
        """Returns a new quantiser that does not quantise.

        Raises:
            ValueError: The codebook size is not 0.
        """
        if codebook_size != 0:
            raise ValueError(f"Continuous has no codes, codebook_size says {codebook_size}; set it to 0")
        return ContinuousQuantizer(codebook_size)


class ContinuousQuantizer(Quantizer):
    """Every token is its own quantised value; it has no code, and adds nothing to the loss."""

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantized:
        """Returns the tokens; every code is -1."""
        codes = torch.full((len(tokens),), -1, device=tokens.device)
        return Quantized(tokens, codes, {}, codes.new_zeros(0))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Refuses: there are no codes to look up."""
        raise ValueError("Continuous has no codes to look up; ask an encoder with a codebook")
