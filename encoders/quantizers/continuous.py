"""No quantiser at all: the twin of a quantised encoder, which tells what its codes cost or bring."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from encoders.quantizers.base import QuantizedTokens, Quantizer


@dataclass(frozen=True)
class Continuous:
    """Tokens pass as they are; there is no codebook."""

    @property
    def codebook_size(self) -> int:
        """Number of codes: none."""
        return 0

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser that does not quantise."""
        return ContinuousQuantizer(self.codebook_size)


class ContinuousQuantizer(Quantizer):
    """Every token is its own quantised value; it has no code, and adds nothing to the loss."""

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Returns the tokens; every code is -1."""
        codes = torch.full((len(tokens),), -1, device=tokens.device)
        return QuantizedTokens(tokens, codes, {}, codes.new_zeros(0))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Refuses: there are no codes to look up."""
        raise ValueError("Continuous has no codes to look up; ask an encoder with a codebook")
