"""Several codebooks for a token: each quantises what those before it have left over.

One code of C tells tokens apart in C ways; L levels of C codes in C to the power of L, by L searches among C. A token's
code here is one number, its codes written as digits.

References: Zeghidour et al. (2021), SoundStream, section III-C, https://arxiv.org/abs/2107.03312; for the gradient by
rotation Fifty et al. (2024), https://arxiv.org/abs/2410.06424, whose function is vector-quantize-pytorch's.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from encoders.quantizers.affine import Affine
from encoders.quantizers.base import QuantizedTokens, Quantizer, straight_through
from encoders.quantizers.ema import EMA
from encoders.quantizers.learnable import Learnable

MOST_CODES = 1 << 20
"""Numbers that a token's code may take; their use is counted one by one."""


@dataclass(frozen=True)
class Residual:
    """Levels of one kind of codebook.

    Attributes:
        levels: Codebooks for a token.
        quantizer: The codebook of a level.
        rotation: Whether the gradient turns with the token onto its code instead of passing straight through.
    """

    levels: int = 2
    quantizer: Learnable | EMA | Affine = Learnable(codebook_size=64)
    rotation: bool = False

    def __post_init__(self) -> None:
        size = self.quantizer.codebook_size
        if self.levels < 1 or size < 2 or size**self.levels > MOST_CODES:
            raise ValueError(
                f"Residual: {self.levels} levels of {size} codes, expected at least 1 and 2 and no more than "
                f"{MOST_CODES} codes together"
            )

    @property
    def codebook_size(self) -> int:
        """Number of codes of all levels together."""
        return int(self.quantizer.codebook_size**self.levels)

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return ResidualQuantizer(dim, self)


class ResidualQuantizer(Quantizer):
    """A token's vector is the sum of its codes' vectors; the first level is the most significant digit of its code."""

    def __init__(self, dim: int, config: Residual) -> None:
        super().__init__(config.codebook_size)
        self.config, self.base = config, config.quantizer.codebook_size
        self.levels = nn.ModuleList(config.quantizer.build(dim) for _ in range(config.levels))

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist; loss terms are means over the levels."""
        left, total = tokens, torch.zeros_like(tokens)
        codes = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        terms: dict[str, Tensor] = {}
        for level in self.levels:
            found: QuantizedTokens = level(left)
            total = total + found.quantised.detach()
            left = tokens - total
            codes = codes * self.base + found.codes
            for name, term in found.loss_terms.items():
                terms[name] = terms.get(name, 0.0) + term / len(self.levels)
        turned = self.config.rotation and len(tokens) > 0
        quantised = _rotated(tokens, total) if turned else straight_through(tokens, total)
        return QuantizedTokens(quantised, codes, terms, torch.bincount(codes, minlength=self.codebook_size))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes; of a token's code it equals its quantised value."""
        vectors, rest = [], codes
        for level in reversed(self.levels):  # the last level is the least significant digit
            vectors.append(level.lookup(rest % self.base))  # type: ignore[operator]  # torch types a list's members as tensors
            rest = rest // self.base
        total: Tensor = vectors[-1]
        for vector in reversed(vectors[:-1]):  # in the order of quantising, so that sums round alike
            total = total + vector
        return total


def _rotated(tokens: Float[Tensor, "n d"], total: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    from vector_quantize_pytorch.vector_quantize_pytorch import rotate_to  # two seconds of imports

    turned: Tensor = rotate_to(tokens, total)
    return turned
