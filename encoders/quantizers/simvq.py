"""A fixed random codebook under one learnt linear map, which is vector-quantize-pytorch's.

All codes move with the map, so that none of them dies.

Reference: Zhu et al. (2024), Addressing representation collapse in vector quantized models with one linear layer.
https://arxiv.org/abs/2411.02038
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from encoders.quantizers.base import QuantizedTokens, Quantizer


@dataclass(frozen=True)
class SimVQ:
    """A random codebook behind one linear map.

    Attributes:
        codebook_size: Codes of the codebook.
        commitment: Weight of the distance of tokens and codes; a quarter of it teaches the tokens.
        rotation: Whether the gradient turns with the token onto its code instead of passing straight through.
    """

    codebook_size: int = 512
    commitment: float = 0.25
    rotation: bool = True

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return SimVQQuantizer(dim, self)


class SimVQQuantizer(Quantizer):
    """Codes are the mapped rows of a random table."""

    def __init__(self, dim: int, config: SimVQ) -> None:
        import vector_quantize_pytorch  # two seconds of imports, for those who quantise so

        super().__init__(config.codebook_size)
        self.weight = config.commitment
        size, rotation = config.codebook_size, config.rotation
        self.codes = vector_quantize_pytorch.SimVQ(dim=dim, codebook_size=size, rotation_trick=rotation)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""
        if not len(tokens):  # the library has no mean of nothing
            codes = torch.zeros(0, dtype=torch.long, device=tokens.device)
            return QuantizedTokens(tokens, codes, {}, torch.bincount(codes, minlength=self.codebook_size))
        quantised, found, apart = self.codes(rearrange(tokens, "n d -> 1 n d"))
        codes = found[0].long()
        counts = torch.bincount(codes, minlength=self.codebook_size)
        return QuantizedTokens(quantised[0], codes, {"commitment": self.weight * apart}, counts)

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes, under the map."""
        return F.embedding(codes, self.codes.codebook)
