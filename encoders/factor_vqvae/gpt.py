"""A causal transformer over the codes of each asset, which looks across at the market's days as far as it has come.

Position ``p`` has read the first ``p`` tokens of a window, none at ``p = 0``, and the market of the same days. Assets
are rows of their own and never see each other.

Reference: Vaswani et al. (2017), section 3. https://arxiv.org/abs/1706.03762
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.common.layers import FeedForward, short_attention


class MarketMemory(nn.Module):
    """The market, day by day: a recurrent network over its features, and what is there before the first day."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_features)
        self.days = nn.GRU(n_features, width, batch_first=True)
        self.before = nn.Parameter(torch.zeros(width))

    def forward(self, market: Float[Tensor, "B L m"]) -> Float[Tensor, "B p w"]:
        """Returns the memory of every position, ``L + 1`` of them."""
        seen = self.days(self.norm(market))[0].float()
        return torch.cat([self.before.expand(len(seen), 1, -1), seen], 1)


class OwnAttention(nn.Module):
    """Causal self-attention among the positions of each asset."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "S p w"]) -> Float[Tensor, "S p w"]:
        """Returns what each position takes from those before it and from itself."""
        projected = self.projection(self.norm(x))
        query, key, value = rearrange(projected, "s p (three h k) -> three s h p k", three=3, h=self.heads)
        mixed: Tensor = self.out(short_attention(query, key, value, _causal(x)))
        return mixed


class MarketAttention(nn.Module):
    """Causal attention of each asset's positions to the market's memory."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.ask = nn.Linear(width, width)
        self.market = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "S p w"], memory: Float[Tensor, "B p w"], day: Float[Tensor, "S B"]
    ) -> Float[Tensor, "S p w"]:
        """Returns what each position takes; `day` is one at an asset's row of the memory and zero elsewhere.

        The product with it copies a row for every asset, and its gradient adds them up, both faster than by index.
        """
        query = rearrange(self.ask(self.norm(x)), "s p (h k) -> s h p k", h=self.heads)
        looked_at = rearrange(self.market(memory), "b p (two h k) -> b (two h p k)", two=2, h=self.heads)
        of_asset = day @ looked_at
        key, value = rearrange(of_asset, "s (two h p k) -> two s h p k", two=2, h=self.heads, p=memory.shape[1])
        mixed: Tensor = self.out(short_attention(query, key, value, _causal(x)))
        return mixed


class GPTLayer(nn.Module):
    """One pre-norm layer: self-attention, in some layers attention to the market, a feed-forward net; all residual."""

    def __init__(self, width: int, heads: int, dropout: float, market: bool) -> None:
        super().__init__()
        self.own = OwnAttention(width, heads)
        self.market = MarketAttention(width, heads) if market else None
        self.norm = nn.LayerNorm(width)
        self.perceptron = FeedForward(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "S p w"], memory: Float[Tensor, "B p w"], day: Float[Tensor, "S B"]
    ) -> Float[Tensor, "S p w"]:
        """Returns the positions after one layer."""
        x = x + self.dropout(self.own(x))
        if self.market is not None:
            x = x + self.dropout(self.market(x, memory, day))
        x = x + self.dropout(self.perceptron(self.norm(x)))
        return x


def _causal(x: Float[Tensor, "S p w"]) -> Bool[Tensor, "p p"]:
    return torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()


class CodeGPT(nn.Module):
    """A causal transformer that predicts the next code of a sequence, given the market.

    Codes enter as their vectors, which do not learn here; a code that is unknown does not exist for this class. The
    first `market_layers` layers look at the market.
    """

    def __init__(
        self,
        dim: int,
        n_codes: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float = 0.0,
        market_layers: int = 1,
    ) -> None:
        super().__init__()
        self.word = nn.Linear(dim, width)
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.position = nn.Parameter(torch.randn(length + 1, width) * 0.02)
        self.layers = nn.ModuleList(GPTLayer(width, heads, dropout, layer < market_layers) for layer in range(depth))
        self.norm = nn.LayerNorm(width)
        self.next = nn.Linear(width, n_codes)

    def forward(
        self,
        codes: Int[Tensor, "S L"],
        vectors: Float[Tensor, "C d"],
        memory: Float[Tensor, "B p w"],
        day: Int[Tensor, " S"],
    ) -> Float[Tensor, "S p w"]:
        """Returns what each position makes of the codes before it, ``L + 1`` positions."""
        words = F.embedding(codes, self.word(vectors))  # few vectors, many tokens
        x = torch.cat([self.start.to(words.dtype).expand(len(words), 1, -1), words], 1) + self.position
        of_day = F.one_hot(day, len(memory)).to(x.dtype)
        for layer in self.layers:
            x = layer(x, memory, of_day)
        normed: Tensor = self.norm(x)
        return normed


def next_token_targets(
    codes: Int[Tensor, "S n"], span: int
) -> tuple[list[int], Int[Tensor, "S q"], Bool[Tensor, "S q"]]:
    """Returns what positions predict in training: positions, the codes that were to come, and whether these are known.

    Position ``p`` has read the rows before ``p`` and predicts the label of the last of their days, which becomes known
    `span` rows later: item ``p - 1 + span``. The last position predicts the last item, the label of today; those of
    the ``span - 1`` days before today are not known yet, and nothing is asked of their positions.

    Args:
        codes: Those of a window's rows and then that of today's own label, -1 where it is unknown.
        span: Days after which a label is known.
    """
    lookback = codes.shape[1] - 1
    positions = [*range(lookback - span + 1), lookback]
    target = torch.cat([codes[:, span - 1 : lookback], codes[:, lookback:]], 1)
    return positions, target, target >= 0
