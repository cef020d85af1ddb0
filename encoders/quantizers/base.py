"""The interface of every vector quantiser: tokens in; quantised tokens, codes, loss terms and usage out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class QuantizedTokens(NamedTuple):
    """Output of a quantiser for a set of tokens.

    Attributes:
        quantised: The code vector of every token; the gradient passes straight through to the token.
        codes: Index of the code, -1 where masked.
        loss_terms: Weighted terms by name, each a mean.
        usage: Tokens of this call that chose each code.
    """

    quantised: Float[Tensor, "n d"]
    codes: Int[Tensor, " n"]
    loss_terms: Mapping[str, Tensor]
    usage: Int[Tensor, " C"]


@runtime_checkable
class QuantizerConfig(Protocol):
    """A frozen dataclass that builds one kind of quantiser."""

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        ...

    def build(self, dim: int) -> "Quantizer":
        """Returns a new quantiser of tokens of width `dim`."""
        ...


class Quantizer(nn.Module, ABC):
    """Maps tokens to their nearest codes.

    Masked tokens are neither assigned nor counted, in training as little as later. In evaluation mode nothing
    changes and nothing is drawn. Arithmetic is in single precision whatever the autocast.
    """

    def __init__(self, codebook_size: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size

    def forward(self, tokens: Float[Tensor, "n d"], mask: Bool[Tensor, " n"] | None = None) -> QuantizedTokens:
        """Quantises tokens; `mask` is true where a token exists, None where all do. Masked ones quantise to zero."""
        with torch.autocast(tokens.device.type, enabled=False):
            if mask is None:
                return self.quantize(tokens.float())
            found = self.quantize(tokens[mask].float())
            quantised = found.quantised.new_zeros(tokens.shape).masked_scatter(mask[:, None], found.quantised)
            codes = torch.full_like(mask, -1, dtype=torch.long).masked_scatter(mask, found.codes)
            return found._replace(quantised=quantised, codes=codes)

    @abstractmethod
    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""

    @abstractmethod
    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes; of a token's code it equals its quantised value."""


def straight_through(tokens: Float[Tensor, "n d"], nearest: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Returns exactly `nearest`, with the gradient of `tokens`."""
    return nearest.detach() + (tokens - tokens.detach())


class Assignment(NamedTuple):
    """Quantised tokens and the two losses of vector quantisation.

    Attributes:
        quantised: Exactly the vectors of the codes; the gradient passes straight through to the tokens.
        tokens_apart: Mean square distance of tokens and codes, which teaches the tokens alone.
        codes_apart: The same number, which teaches the codes alone.
    """

    quantised: Float[Tensor, "n d"]
    commitment_loss: Float[Tensor, ""]
    codebook_loss: Float[Tensor, ""]


def assign(
    tokens: Float[Tensor, "n d"], vectors: Float[Tensor, "C d"], codes: Int[Tensor, " n"], nu: float = 0.0
) -> Assignment:
    """Puts each token's code in its place; `nu` times the gradient of what follows reaches the codes too.

    It equals ``straight_through`` and two ``mean_square`` and ``nu * (found - found.detach())``, gradients and all, in
    two fifths of the time.
    """
    return Assignment(*_AssignFunction.apply(tokens, vectors, codes, nu))  # type: ignore[no-untyped-call]  # torch's is untyped


class _AssignFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, vectors: Tensor, codes: Tensor, nu: float) -> tuple[Tensor, ...]:
        found = F.embedding(codes, vectors)
        apart = tokens - found
        ctx.save_for_backward(apart, codes)
        ctx.nu, ctx.n_codes = nu, len(vectors)
        square = torch.linalg.vector_norm(apart).square() / max(apart.numel(), 1)
        return found, square, square.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad, of_tokens, of_codes), (apart, codes) = grads, ctx.saved_tensors
        share = 2.0 / max(apart.numel(), 1)
        to_codes = torch.addcmul(ctx.nu * grad, apart, of_codes * share, value=-1.0)
        to_vectors = apart.new_zeros(ctx.n_codes, apart.shape[1]).index_add_(0, codes, to_codes)
        return torch.addcmul(grad, apart, of_tokens * share), to_vectors, None, None


def mean_square(difference: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Returns the mean of the squares; zero where there is nothing."""
    return difference.square().sum() / max(difference.numel(), 1)
