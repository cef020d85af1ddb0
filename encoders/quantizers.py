"""Vector quantisers behind one interface: tokens in; quantised tokens, codes, loss terms and usage out.

`EMA` moves the codebook by averages, `Learnable` by gradient (with orthogonality and diversity), `FSQ` needs none.

References: van den Oord et al. (2017), VQ-VAE, sections 3.1-3.2 and appendix A.1, https://arxiv.org/abs/1711.00937;
Shin et al. (2021), orthogonality, equation 2, https://arxiv.org/abs/2112.00384; Mentzer et al. (2023), FSQ,
https://arxiv.org/abs/2309.15505.

FSQ is vector-quantize-pytorch's. Its ``VectorQuantize`` (1.32) does not stand behind the codebooks, because there
the diversity loss counts masked tokens, an all-masked batch gives NaN, bf16 autocast on a CPU also rounds the
distances, whether ranks are synchronised is cached at the first call of the process, and the one-hot products cost
three times the arithmetic of the search. What differs here from its algorithm: revival happens before the search, so
that no tensor that backward needs is overwritten, and a code is dead by its share, not by a count that depends on the
batch size. Orthogonality and diversity exist for learnable codebooks alone: in an EMA codebook they do nothing.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
import vector_quantize_pytorch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.ranks import from_first_rank, gathered_over_ranks, summed_over_ranks

KMEANS_ROUNDS = 10
KMEANS_TOKENS_PER_CODE = 64
"""Tokens per code that initialisation looks at, at most; more would cost time and move nothing."""


class Quantized(NamedTuple):
    """What a quantiser says of a set of tokens.

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

    def build(self, dim: int, codebook_size: int) -> "Quantizer":
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

    def forward(self, tokens: Float[Tensor, "n d"], mask: Bool[Tensor, " n"] | None = None) -> Quantized:
        """Quantises tokens; `mask` is true where a token exists, None where all do. Masked ones quantise to zero."""
        with torch.autocast(tokens.device.type, enabled=False):
            if mask is None:
                return self.quantize(tokens.float())
            found = self.quantize(tokens[mask].float())
            quantised = found.quantised.new_zeros(tokens.shape).masked_scatter(mask[:, None], found.quantised)
            codes = torch.full_like(mask, -1, dtype=torch.long).masked_scatter(mask, found.codes)
            return found._replace(quantised=quantised, codes=codes)

    @abstractmethod
    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantized:
        """Quantises tokens that all exist."""

    @abstractmethod
    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes; of a token's code it equals its quantised value."""


@dataclass(frozen=True)
class EMA:
    """A codebook that follows its tokens by exponential moving averages.

    Attributes:
        decay: Share of the average that a step keeps.
        commitment: Weight of the pull of tokens to their codes.
        dead_share: A code is dead when its average use falls below this share of an equal one.
    """

    decay: float = 0.97
    commitment: float = 0.25
    dead_share: float = 0.1

    def build(self, dim: int, codebook_size: int) -> Quantizer:
        """Returns a new quantiser."""
        return EMAQuantizer(dim, codebook_size, self)


@dataclass(frozen=True)
class Learnable:
    """A codebook that descends the loss, kept apart by orthogonality and in use by diversity.

    Attributes:
        commitment: Weight of the pull of tokens to their codes; codes are pulled to tokens with weight one.
        orthogonality: Weight of the mean squared inner product of different unit codes.
        diversity: Weight of the negative entropy of the average soft assignment, in units of a uniform one's.
        temperature: Distance over which the soft assignment falls by e.
        decay: Share of the average use that a step keeps; decides how soon an unused code is dead.
        dead_share: A code is dead when its average use falls below this share of an equal one.
    """

    commitment: float = 0.25
    orthogonality: float = 1.0
    diversity: float = 0.1
    temperature: float = 1.0
    decay: float = 0.97
    dead_share: float = 0.1

    def build(self, dim: int, codebook_size: int) -> Quantizer:
        """Returns a new quantiser."""
        return LearnableQuantizer(dim, codebook_size, self)


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


class _CodebookQuantizer(Quantizer):
    # What EMA and learnable codebooks share: k-means start, nearest code, average use, revival of dead codes.
    codebook: Tensor
    use: Tensor
    initialised: Tensor

    def __init__(self, dim: int, codebook_size: int, decay: float, dead_share: float) -> None:
        super().__init__(codebook_size)
        self.decay, self.dead_share = decay, dead_share
        self.register_buffer("use", torch.zeros(codebook_size))
        self.register_buffer("initialised", torch.tensor(False))

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        return F.embedding(codes, self.codebook)

    @torch.no_grad()
    def maintain(self, tokens: Float[Tensor, "n d"]) -> None:
        # Before the search of a training step: start the codebook, or move dead codes onto tokens of any rank.
        if not self.initialised:
            everyone = gathered_over_ranks(tokens)
            if len(everyone):
                every = torch.arange(self.codebook_size, device=tokens.device)
                centres = kmeans(everyone, self.codebook_size)
                self.place(every, from_first_rank(centres), len(everyone) / self.codebook_size)
                self.initialised.fill_(True)
            return
        dead = (self.use < self.dead_share * self.use.mean()).nonzero()[:, 0]
        if len(dead):
            everyone = gathered_over_ranks(tokens)
            chosen = torch.randperm(len(everyone))[: len(dead)].to(everyone.device)
            self.place(dead[: len(chosen)], from_first_rank(everyone[chosen]), float(self.use.mean()))

    def place(self, which: Int[Tensor, " c"], vectors: Float[Tensor, "c d"], use: float) -> None:
        self.codebook.data[which] = vectors
        self.use[which] = use

    @torch.no_grad()
    def search(self, tokens: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        # argmin |x - e|^2 = argmin |e|^2 - 2 x e
        norms = self.codebook.square().sum(-1)
        return torch.addmm(norms, tokens, self.codebook.mT, alpha=-2.0).argmin(-1)

    @torch.no_grad()
    def count(self, counts: Int[Tensor, " C"]) -> None:
        # After the search of a training step: the average use, over all ranks.
        self.use.lerp_(summed_over_ranks(counts).float(), 1.0 - self.decay)


class EMAQuantizer(_CodebookQuantizer):
    """Codes are running means of the tokens that chose them."""

    def __init__(self, dim: int, codebook_size: int, config: EMA) -> None:
        super().__init__(dim, codebook_size, config.decay, config.dead_share)
        self.commitment = config.commitment
        self.register_buffer("codebook", torch.randn(codebook_size, dim))
        self.register_buffer("total", torch.zeros(codebook_size, dim))

    total: Tensor

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantized:
        """Quantises tokens that all exist; in training the codebook then follows them."""
        if self.training:
            self.maintain(tokens)
        codes = self.search(tokens)
        nearest = self.lookup(codes)
        counts = torch.bincount(codes, minlength=self.codebook_size)
        if self.training:
            self.follow(tokens, codes, counts)
        terms = {"commitment": self.commitment * _mean_square(tokens - nearest)}
        return Quantized(straight_through(tokens, nearest), codes, terms, counts)

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


class LearnableQuantizer(_CodebookQuantizer):
    """Codes are parameters."""

    def __init__(self, dim: int, codebook_size: int, config: Learnable) -> None:
        super().__init__(dim, codebook_size, config.decay, config.dead_share)
        self.config = config
        self.codebook = nn.Parameter(torch.randn(codebook_size, dim))

    def quantize(self, tokens: Float[Tensor, "n d"]) -> Quantized:
        """Quantises tokens that all exist."""
        if self.training:
            self.maintain(tokens)
        distance = distances(tokens.detach(), self.codebook)
        codes = distance.argmin(-1)
        nearest = self.lookup(codes)
        counts = torch.bincount(codes, minlength=self.codebook_size)
        if self.training:
            self.count(counts)
        config = self.config
        terms = {
            "commitment": config.commitment * _mean_square(tokens - nearest.detach()),
            "codebook": _mean_square(tokens.detach() - nearest),
            "orthogonality": config.orthogonality * orthogonality(self.codebook),
            "diversity": config.diversity * diversity(distance, config.temperature),
        }
        return Quantized(straight_through(tokens, nearest), codes, terms, counts)


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


def straight_through(tokens: Float[Tensor, "n d"], nearest: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Returns exactly `nearest`, with the gradient of `tokens`."""
    return nearest.detach() + (tokens - tokens.detach())


def orthogonality(codebook: Float[Tensor, "C d"]) -> Float[Tensor, ""]:
    """Returns ``|E E' - I|^2 / C^2`` over unit codes: zero for an orthonormal codebook, ``1 - 1/C`` for equal codes."""
    unit = F.normalize(codebook, dim=-1)
    return (unit @ unit.mT - torch.eye(len(unit), device=unit.device)).square().mean()


def distances(tokens: Float[Tensor, "n d"], codebook: Float[Tensor, "C d"]) -> Float[Tensor, "n C"]:
    """Returns every token's distance to every code."""
    square = torch.addmm(codebook.square().sum(-1), tokens, codebook.mT, alpha=-2.0)
    return (square + tokens.square().sum(-1, keepdim=True)).clamp_(min=1e-6).sqrt_()


def diversity(distance: Float[Tensor, "n C"], temperature: float) -> Float[Tensor, ""]:
    """Returns the negative entropy of the tokens' mean soft assignment over log C: -1 where all codes are used alike.

    It moves codes towards where tokens are, not tokens to where they would be hard to tell apart.
    """
    assigned = (distance / -temperature).softmax(-1).sum(0) / max(len(distance), 1)
    return (assigned * assigned.clamp(min=1e-12).log()).sum() / math.log(distance.shape[1])


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
        nearest = torch.addmm(centres.square().sum(-1), sample, centres.mT, alpha=-2.0).argmin(-1)
        count = torch.bincount(nearest, minlength=n_codes)[:, None]
        mean = torch.zeros_like(centres).index_add_(0, nearest, sample) / count.clamp(min=1)
        centres = torch.where(count > 0, mean, centres)
    return centres


def perplexity(counts: Int[Tensor, " C"]) -> float:
    """Returns the exponential of the entropy of the codes' use: C where all are used alike, 1 for one, 0 for none."""
    share = counts.double() / counts.sum().clamp(min=1)
    return float(torch.special.entr(share).sum().exp()) if counts.any() else 0.0


def usage(counts: Int[Tensor, " C"]) -> float:
    """Returns the share of codes that were used at all."""
    return float((counts > 0).double().mean())


def dead_codes(counts: Int[Tensor, " C"]) -> int:
    """Returns the number of codes that were never used."""
    return int((counts == 0).sum())


def _mean_square(difference: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    return difference.square().sum() / max(difference.numel(), 1)
