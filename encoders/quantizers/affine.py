"""A learnable codebook that moves as a whole: every code is ``(1 + s) e + b`` with one `s` and `b` for all of them.

Tokens drift as the network in front of them learns, and a code that no token has chosen lately gets no gradient that
would let it follow. Through the shared map every code follows what any of them learns.

Reference: Huh et al. (2023), Straightening out the straight-through estimator, sections 4.1 (affine map), 4.2
(replacement) and 4.3 (synchronised commitment). https://arxiv.org/abs/2305.08842

Differs from its implementation (https://github.com/minyoungg/vqtorch), because:

* k-means runs on any device, and fewer tokens than codes shrink nothing;
* a replaced code is put where the map takes it onto its token, not onto the token before the map;
* rank 0 decides on replacements for all ranks, which otherwise draw different ones and diverge;
* a code is dead when no rank has used it since the last replacement; a step that sees fewer tokens than there are codes
  says nothing about a code by itself.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from encoders.distributed import summed_over_ranks
from encoders.quantizers.base import QuantizedTokens, Quantizer, assign
from encoders.quantizers.codebook import CodebookQuantizer, nearest

SMALLEST = 1e-3
"""Scale of the map below which it is not inverted."""


@dataclass(frozen=True)
class Affine:
    """A codebook under a shared affine map.

    Attributes:
        codebook_size: Codes of the codebook.
        affine_lr: How much faster the map learns than the rest of the network.
        nu: Share of the task's gradient that also reaches the chosen code (synchronised commitment); 0 for none.
        beta: Weight of the pull of codes to their tokens; the pull of tokens to their codes has the rest to one.
        replace_every: Training steps after which codes that none of them used are replaced.
    """

    codebook_size: int = 512
    affine_lr: float = 2.0
    nu: float = 2.0
    beta: float = 0.9
    replace_every: int = 20

    def __post_init__(self) -> None:
        if self.affine_lr < 0 or self.nu < 0:
            raise ValueError(f"Affine: affine_lr is {self.affine_lr} and nu {self.nu}, expected at least 0")
        if not 0 <= self.beta <= 1:
            raise ValueError(f"Affine: beta is {self.beta}, expected a share in [0, 1]")
        if self.replace_every < 1:
            raise ValueError(f"Affine: replace_every is {self.replace_every} steps, expected at least 1")

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser."""
        return AffineQuantizer(dim, self)


class AffineQuantizer(CodebookQuantizer):
    """Codes are parameters under a shared affine map.

    The map's parameters are multiplied by `Affine.affine_lr`, which makes them learn so much faster under Adam.
    """

    used: Tensor
    steps: Tensor

    def __init__(self, dim: int, config: Affine) -> None:
        super().__init__(config.codebook_size)
        self.config = config
        self.codebook = nn.Parameter(torch.randn(config.codebook_size, dim))
        self.scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))
        self.register_buffer("used", torch.zeros(config.codebook_size, dtype=torch.long))
        self.register_buffer("steps", torch.tensor(0))

    def vectors(self) -> Float[Tensor, "C d"]:
        """Returns the vector of every code, with its gradient."""
        rate = self.config.affine_lr
        return torch.addcmul(rate * self.shift, self.codebook, 1.0 + rate * self.scale)

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""
        if self.training:
            self.maintain(tokens)
        vectors, config = self.vectors(), self.config
        codes = nearest(tokens, vectors)
        counts = torch.bincount(codes, minlength=self.codebook_size)
        if self.training:
            self.used += summed_over_ranks(counts)
        found = assign(tokens, vectors, codes, config.nu)
        terms = {
            "commitment": (1.0 - config.beta) * found.commitment_loss,
            "codebook": config.beta * found.codebook_loss,
        }
        return QuantizedTokens(found.quantised, codes, terms, counts)

    @torch.no_grad()
    def maintain(self, tokens: Float[Tensor, "n d"]) -> None:
        """Starts the codebook, or replaces the codes that the last steps did not use; before the search of a step."""
        if self.start(tokens):
            return
        self.steps += 1
        if int(self.steps) % self.config.replace_every == 0:
            self.revive((self.used == 0).nonzero()[:, 0], tokens, 0.0)
            self.used.zero_()

    def place(self, which: Int[Tensor, " c"], vectors: Float[Tensor, "c d"], use: float) -> None:
        """Puts codes where the map takes them to these vectors; use is counted from the last replacement on."""
        rate = self.config.affine_lr
        scale = 1.0 + rate * self.scale.detach()
        scale = torch.where(scale.abs() < SMALLEST, SMALLEST, scale)
        self.codebook.data[which] = (vectors - rate * self.shift.detach()) / scale
