"""The building blocks that encoders share: attention with a mask, pre-norm transformers, pooling, packing.

Masked items are invisible everywhere: they get no attention, no weight in a pool and no place in a pack. Where every
item of a row is masked the result is finite and carries a finite gradient.
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from encoders.distributed import summed_over_ranks

NEVER = -1e9
"""Score of a masked item: a finite number, so that a row without any item has no NaN in its gradient."""

SHORT = 64
"""Items up to which plain products attend faster than the fused kernel, in bf16 on a processor."""


def masked_softmax(score: Float[Tensor, "*batch N"], mask: Bool[Tensor, "*#batch N"]) -> Float[Tensor, "*batch N"]:
    """Returns weights over the last axis that sum to one over the unmasked items, and to zero where there is none."""
    return score.masked_fill(~mask, NEVER).softmax(-1) * mask


def masked_mean(value: Float[Tensor, "..."], mask: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Returns the mean of the unmasked entries, zero where there is none."""
    mask = mask.expand_as(value)
    return value.where(mask, 0.0).sum() / mask.sum().clamp(min=1)


def pack(value: Shaped[Tensor, "B N *rest"], mask: Bool[Tensor, "B N"]) -> Shaped[Tensor, "S *rest"]:
    """Returns the `S` unmasked items in a row; the others no longer exist. `unpack` is the way back."""
    return value[mask]


def unpack(packed: Shaped[Tensor, "S *rest"], mask: Bool[Tensor, "B N"]) -> Shaped[Tensor, "B N *rest"]:
    """Returns packed items at their places, zeros at the masked ones."""
    places = packed.new_zeros(*mask.shape, *packed.shape[1:])
    return places.index_put((mask.nonzero()[:, 0], mask.nonzero()[:, 1]), packed)


def attention(
    query: Float[Tensor, "R h s k"],
    key: Float[Tensor, "R h t k"],
    value: Float[Tensor, "R h t k"],
    visible: Bool[Tensor, "R 1 1 t"] | None,
) -> Float[Tensor, "R h s k"]:
    """Returns scaled dot-product attention.

    Short sequences in bf16 take two plain products on a processor, where the fused kernel's backward is six times
    slower than they are (sixteen patches, torch 2.13). In single precision the kernel is as fast and takes less memory.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or query.shape[2] > SHORT:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    score = (query * query.shape[-1] ** -0.5) @ key.mT
    if visible is not None:
        score = score.masked_fill(~visible, NEVER)
    mixed: Tensor = score.softmax(-1).to(value.dtype) @ value
    return mixed


STEEPEST = 30.0
"""Score, up or down, beyond which `short_attention` no longer tells items apart."""


def short_attention(
    query: Float[Tensor, "R h s k"],
    key: Float[Tensor, "R h t k"],
    value: Float[Tensor, "R h t k"],
    visible: Bool[Tensor, "s t"],
    bias: Float[Tensor, "h s t"] | None = None,
) -> Float[Tensor, "R s d"]:
    """Returns dot-product attention of short sequences, heads side by side again; every item sees at least one.

    Scores are cut off where their exponential would overflow, so that no maximum has to be taken off, and the sum of
    the weights comes out of the same product as the mean. Over 21 items in bf16 on a processor, heads 8 to 16 wide,
    forward and backward take half of what they do with a softmax and a quarter to a tenth of the fused kernel; with
    wider ones about as long as with a softmax. What is not visible weighs exactly zero.
    """
    mixed: Tensor = _ShortAttention.apply(query, key, value, visible, bias)  # type: ignore[no-untyped-call]
    return mixed


class _ShortAttention(torch.autograd.Function):
    # One buffer of scores becomes that of the weights, and backward turns its gradient back in one pass. A weighted sum
    # has one more column, that of the weights themselves. Division is in fp32: of narrow rows it is four times faster.
    # A score beyond STEEPEST goes on learning.

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, visible: Tensor, bias: Tensor | None) -> Tensor:
        width, key = query.shape[-1], key.contiguous()
        query = query * width**-0.5
        weight = query @ key.mT
        if bias is not None:
            weight += bias
        weight.clamp_(-STEEPEST, STEEPEST).exp_().mul_(visible.to(weight.dtype))
        wider = value.new_ones(*value.shape[:-1], width + 1)
        wider[..., :-1] = value
        both = (weight @ wider).float()
        mixed, total = both[..., :-1] / both[..., -1:], both[..., -1:]
        ctx.save_for_backward(query, key, wider, weight, mixed, total)
        ctx.biased = bias is not None
        return rearrange(mixed, "r h s k -> r s (h k)").to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, wider, weight, mixed, total = ctx.saved_tensors
        width = query.shape[-1]
        grad = rearrange(grads[0], "r s (h k) -> r h s k", k=width).float() / total
        both = torch.cat([grad, -(grad * mixed).sum(-1, keepdim=True)], -1).to(weight.dtype)
        score = (both @ wider.mT).mul_(weight)
        of_value = (weight.mT @ both)[..., :-1]
        of_bias = score.sum(0) if ctx.biased else None
        return (score @ key) * width**-0.5, score.mT @ query, of_value, None, of_bias


class SelfAttention(nn.Module):
    """Multi-head self-attention among the items of each row.

    Reference: Vaswani et al. (2017), section 3.2. https://arxiv.org/abs/1706.03762
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "R S d"], mask: Bool[Tensor, "R S"] | None = None) -> Float[Tensor, "R S d"]:
        """Returns the mixed items; `mask` is true where an item exists, None where all do."""
        query, key, value = rearrange(self.projection(x), "r s (three h k) -> three r h s k", three=3, h=self.heads)
        visible = None
        if mask is not None:  # a row without items attends to all of them, and is thrown away by the caller
            visible = rearrange(mask | ~mask.any(-1, keepdim=True), "r s -> r 1 1 s")
        mixed = attention(query, key, value, visible)
        out: Tensor = self.out(rearrange(mixed, "r h s k -> r s (h k)"))
        return out


class _FeedForwardFunction(torch.autograd.Function):
    # Keeps the wide layer once, before its activation, and activates it again in backward: a third of a transformer's
    # memory for a hundredth of its arithmetic. Under autocast the wide layer is bf16, and so is backward.

    @staticmethod
    def forward(ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        wide = F.linear(x, w1, b1)
        ctx.save_for_backward(x, wide, w1, w2)
        return F.linear(F.gelu(wide), w2, b2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        x, wide, w1, w2 = ctx.saved_tensors
        x, wide, grad = (rearrange(each.to(wide.dtype), "... d -> (...) d") for each in (x, wide, grads[0]))
        grad_w2 = grad.mT @ F.gelu(wide)
        grad_wide = torch.ops.aten.gelu_backward(grad @ w2.to(wide.dtype), wide)
        grad_x = (grad_wide @ w1.to(wide.dtype)).reshape(ctx.saved_tensors[0].shape)
        return grad_x, grad_wide.mT @ x, grad_wide.sum(0), grad_w2, grad.sum(0)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.wide = nn.Linear(dim, 4 * dim)
        self.out = nn.Linear(4 * dim, dim)

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Returns the items, each transformed alone."""
        weights = (self.wide.weight, self.wide.bias, self.out.weight, self.out.bias)
        out: Tensor = _FeedForwardFunction.apply(x, *weights)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
        return out


class TransformerBlock(nn.Module):
    """One pre-norm transformer layer: attention, then a feed-forward network of four times the width, both residual."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads)
        self.perceptron_norm = nn.LayerNorm(dim)
        self.perceptron = FeedForward(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "R S d"], mask: Bool[Tensor, "R S"] | None = None) -> Float[Tensor, "R S d"]:
        """Returns the items after one layer."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        x = x + self.dropout(self.perceptron(self.perceptron_norm(x)))
        return x


class Transformer(nn.Module):
    """A stack of pre-norm layers with a final norm; it has no notion of position, which its input must carry.

    Rows never see each other. Permuting the items of a row permutes the output.

    Shapes: `R` rows, `S` items, `d` width.
    """

    def __init__(self, dim: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TransformerBlock(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "R S d"], mask: Bool[Tensor, "R S"] | None = None) -> Float[Tensor, "R S d"]:
        """Returns the items after all layers; `mask` is true where an item exists."""
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        return x


class SetPool(nn.Module):
    """Pools the assets of each day into a few tokens by multi-head attention of learnt queries.

    Every query scores every asset, each head for itself, and the scores weigh the average of the heads' values. Since
    the queries are fixed, keys need no width of their own: a score is one learnt direction of the input. Neither the
    order nor the number of assets matters; a day without assets pools to the projection of zero.

    Reference: Lee et al. (2019), Set Transformer, section 3.2. https://arxiv.org/abs/1810.00825
    """

    def __init__(self, dim: int, n_queries: int, heads: int) -> None:
        super().__init__()
        self.heads, self.n_queries = heads, n_queries
        self.score = nn.Linear(dim, n_queries * heads, bias=False)
        self.value = nn.Parameter(torch.randn(heads, dim, dim // heads) / dim**0.5)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "B L N d"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B L q d"]:
        """Returns the pooled tokens of every day."""
        score = rearrange(self.score(x), "b l n s -> b l s n")
        weight = masked_softmax(score, rearrange(mask, "b n -> b 1 1 n"))
        pooled = rearrange(weight @ x, "b l (q h) d -> b l q h d", h=self.heads)
        values = einsum(pooled, self.value, "b l q h d, h d k -> b l q h k")
        out: Tensor = self.out(rearrange(values, "b l q h k -> b l q (h k)"))
        return out


class TimePool(nn.Module):
    """Pools a sequence by attention of one learnt query that may prefer positions, such as the latest.

    Weights come from the first argument alone and apply to every sequence given, so that what is pooled together
    speaks of the same moments.
    """

    def __init__(self, dim: int, length: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)
        self.position = nn.Parameter(torch.zeros(length))

    def forward(self, x: Float[Tensor, "R S d"], *others: Float[Tensor, "R S d"]) -> Float[Tensor, "R wide"]:
        """Returns the pools of all sequences side by side."""
        weight = (self.score(x)[..., 0] + self.position).softmax(-1)
        return torch.cat([reduce(weight[..., None] * each, "r s d -> r d", "sum") for each in (x, *others)], -1)


class RunningNorm(nn.Module):
    """Standardises tokens by their running mean and deviation, in training as in use.

    Behind it tokens cannot escape a quantiser's pull by shrinking together: their spread is one by definition, and
    the collapse that follows from a pull onto few codes has no reward. Unlike a batch norm it treats every token alone,
    so that a day's tokens do not depend on the batch, except by what training has added to the averages.
    Masked tokens are not counted.
    """

    mean: Tensor
    square: Tensor
    started: Tensor

    def __init__(self, dim: int, decay: float = 0.95) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("square", torch.ones(dim))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, tokens: Float[Tensor, "n d"], mask: Bool[Tensor, " n"] | None = None) -> Float[Tensor, "n d"]:
        """Returns the tokens in units of their running deviation; `mask` is true where one exists."""
        tokens = tokens.float()
        if self.training:
            there = tokens.detach()
            self._observe(there if mask is None else there[mask])
        variance = (self.square - self.mean.square()).clamp(min=1e-6)
        return (tokens - self.mean.clone()) * variance.rsqrt()

    def _observe(self, tokens: Float[Tensor, "n d"]) -> None:
        sums = torch.stack([tokens.sum(0), tokens.square().sum(0), torch.full_like(self.mean, len(tokens))])
        total, squares, count = summed_over_ranks(sums)
        if count[0] > 0:
            weight = 1.0 - self.decay if self.started else 1.0
            self.mean.lerp_(total / count, weight)
            self.square.lerp_(squares / count, weight)
            self.started.fill_(True)
