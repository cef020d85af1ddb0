"""Shared parts of codebooks: a start by k-means, the search for the nearest code, and the revival of dead codes."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from encoders.distributed import from_first_rank, gathered_over_ranks, summed_over_ranks
from encoders.quantizers.base import Quantizer

SEARCHED_AT_ONCE = 4096
"""Tokens whose distances to all codes are in memory at a time: in a processor's cache, a third faster than all."""

KMEANS_ROUNDS = 10
KMEANS_TOKENS_PER_CODE = 64
"""Tokens per code that initialisation looks at, at most; more would cost time and move nothing."""


class CodebookQuantizer(Quantizer):
    """Base of every codebook: initialise, find the nearest code, look codes up, revive dead ones.

    Codes start as the cluster centres of the first tokens of all ranks, on whatever device these are. Dead codes move
    onto tokens of any rank. Both happen before the search of a step, so that no tensor that backward needs is
    overwritten, and rank 0 decides for all, so that codebooks stay equal to the bit.
    """

    codebook: Tensor
    initialised: Tensor

    def __init__(self, codebook_size: int) -> None:
        super().__init__(codebook_size)
        self.register_buffer("initialised", torch.tensor(False))

    def vectors(self) -> Float[Tensor, "C d"]:
        """Returns the vector of every code, with its gradient."""
        return self.codebook

    @abstractmethod
    def place(self, which: Int[Tensor, " c"], vectors: Float[Tensor, "c d"], use: float) -> None:
        """Puts codes at these vectors, as if each had been used so often a step."""

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes; of a token's code it equals its quantised value."""
        return F.embedding(codes, self.vectors())

    @torch.no_grad()
    def start(self, tokens: Float[Tensor, "n d"]) -> bool:
        """Places the codebook if that has not happened; returns whether it was this call's work to do."""
        if self.initialised:
            return False
        everyone = gathered_over_ranks(tokens)
        if len(everyone):
            every = torch.arange(self.codebook_size, device=tokens.device)
            centres = kmeans(everyone, self.codebook_size)
            self.place(every, from_first_rank(centres), len(everyone) / self.codebook_size)
            self.initialised.fill_(True)
        return True

    @torch.no_grad()
    def revive(self, dead: Int[Tensor, " c"], tokens: Float[Tensor, "n d"], use: float) -> None:
        """Moves dead codes onto random tokens; where these are fewer, the rest stay as they are."""
        if len(dead):
            everyone = gathered_over_ranks(tokens)
            chosen = torch.randperm(len(everyone))[: len(dead)].to(everyone.device)
            self.place(dead[: len(chosen)], from_first_rank(everyone[chosen]), use)


class EmaUsage(CodebookQuantizer):
    """A codebook whose codes are dead when their average use falls below a share of an equal one.

    A share, not a count: it means the same at any batch size.
    """

    use: Tensor

    def __init__(self, codebook_size: int, decay: float, dead_share: float) -> None:
        super().__init__(codebook_size)
        self.decay, self.dead_share = decay, dead_share
        self.register_buffer("use", torch.zeros(codebook_size))

    @torch.no_grad()
    def maintain(self, tokens: Float[Tensor, "n d"]) -> None:
        """Starts the codebook, or revives its dead codes; before the search of a training step."""
        if not self.start(tokens):
            dead = (self.use < self.dead_share * self.use.mean()).nonzero()[:, 0]
            self.revive(dead, tokens, float(self.use.mean()))

    def place(self, which: Int[Tensor, " c"], vectors: Float[Tensor, "c d"], use: float) -> None:
        """Puts codes at these vectors, as if each had been used so often a step."""
        self.codebook.data[which] = vectors
        self.use[which] = use

    @torch.no_grad()
    def count(self, counts: Int[Tensor, " C"]) -> None:
        """Averages the use of the codes, over all ranks; after the search of a training step."""
        self.use.lerp_(summed_over_ranks(counts).float(), 1.0 - self.decay)


@torch.no_grad()
def nearest(tokens: Float[Tensor, "n d"], vectors: Float[Tensor, "C d"]) -> Int[Tensor, " n"]:
    """Returns the code nearest to each token: ``argmin |x - e|^2 = argmin |e|^2 - 2 x e``."""
    own = vectors.square().sum(-1)
    parts = torch.split(tokens, SEARCHED_AT_ONCE)
    return torch.cat([torch.addmm(own, part, vectors.mT, alpha=-2.0).argmin(-1) for part in parts])


@torch.no_grad()
def kmeans(tokens: Float[Tensor, "n d"], n_codes: int) -> Float[Tensor, "C d"]:
    """Returns cluster centres by Lloyd's algorithm from random tokens.

    Where there are fewer tokens than codes, each token is a centre and the rest are tokens moved by noise of a tenth
    of the tokens' spread; they are unused, hence dead, and revival replaces them as batches come in.
    """
    order = torch.randperm(len(tokens))[: KMEANS_TOKENS_PER_CODE * n_codes].to(tokens.device)
    sample = tokens[order]
    if len(sample) <= n_codes:
        copies = sample[torch.randint(len(sample), (n_codes - len(sample),)).to(tokens.device)]
        noise = torch.randn(copies.shape).to(tokens) * tokens.std(0, correction=0) * 0.1
        return torch.cat([sample, copies + noise])
    centres = sample[:n_codes].clone()
    for _ in range(KMEANS_ROUNDS):
        chosen = nearest(sample, centres)
        count = torch.bincount(chosen, minlength=n_codes)[:, None]
        mean = torch.zeros_like(centres).index_add_(0, chosen, sample) / count.clamp(min=1)
        centres = torch.where(count > 0, mean, centres)
    return centres
