"""The two ways in which STORM cuts a window into tokens, and how each rebuilds prices from its quantised tokens.

A time-series token is a patch of days of one asset; a cross-section token is all assets of one day. Inside a branch
the `S` listed assets of a batch are packed in one row, so that masked assets do not exist there.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.common.layers import SetPool, TimePool, Transformer, pack, unpack
from encoders.windows import InputShape


@dataclass(frozen=True)
class StormSizes:
    """Widths and depths.

    Attributes:
        dim: Width of tokens and of code vectors.
        depth: Transformer layers before the quantiser.
        decoder_depth: Transformer layers after it.
        heads: Attention heads.
        patch: Days in a time-series token; divides the look-back.
        day_tokens: Cross-section tokens of a day.
        asset_state: Width of an asset's state.
        market_state: Width of the market's state.
        dropout: Share of each layer's output that training drops.
    """

    dim: int = 256
    depth: int = 4
    decoder_depth: int = 2
    heads: int = 4
    patch: int = 4
    day_tokens: int = 1
    asset_state: int = 64
    market_state: int = 64
    dropout: float = 0.0


class TimeSeriesBranch(nn.Module):
    """Patches of days of one asset: `[B, L, N, F]` to `[S, t, d]`, with ``t = L / patch``."""

    def __init__(self, sizes: StormSizes, shape: InputShape) -> None:
        super().__init__()
        self.patch, length = sizes.patch, shape.lookback // sizes.patch
        self.features = nn.Linear(sizes.patch * shape.n_features, sizes.dim)
        self.calendar = nn.Linear(sizes.patch * shape.n_calendar, sizes.dim, bias=False)
        self.position = nn.Parameter(torch.randn(length, sizes.dim) * 0.02)
        self.pool = TimePool(sizes.dim, length)
        self.decoder_position = nn.Parameter(torch.randn(length, sizes.dim) * 0.02)
        self.decoder = Transformer(sizes.dim, sizes.decoder_depth, sizes.heads, sizes.dropout)
        self.prices = nn.Linear(sizes.dim, sizes.patch * shape.n_prices)

    def forward(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> Float[Tensor, "S t d"]:
        """Returns the embedded patches of the listed assets."""
        patches = pack(rearrange(features, "b (t p) n f -> b n t (p f)", p=self.patch), mask)
        days = self.calendar(rearrange(calendar, "b (t p) c -> b t (p c)", p=self.patch)) + self.position
        embedded: Tensor = self.features(patches) + days[mask.nonzero()[:, 0]]
        return embedded

    def decode(self, quantised: Float[Tensor, "S t d"]) -> Float[Tensor, "S L P"]:
        """Returns every asset's prices from its own quantised tokens."""
        rebuilt: Tensor = self.prices(self.decoder(quantised + self.decoder_position))
        return rearrange(rebuilt, "s t (p x) -> s (t p) x", p=self.patch)


class CrossSectionBranch(nn.Module):
    """All assets of one day: `[B, L, N, F]` to `[B, L q, d]`, with `q` tokens a day."""

    def __init__(self, sizes: StormSizes, shape: InputShape) -> None:
        super().__init__()
        self.day_tokens = sizes.day_tokens
        self.features = nn.Linear(shape.n_features, sizes.dim)
        self.assets = SetPool(sizes.dim, sizes.day_tokens, sizes.heads)
        self.calendar = nn.Linear(shape.n_calendar, sizes.dim, bias=False)
        self.position = nn.Parameter(torch.randn(shape.lookback, sizes.day_tokens, sizes.dim) * 0.02)
        self.pool = TimePool(sizes.dim, shape.lookback * sizes.day_tokens)
        self.decoder_position = nn.Parameter(torch.randn(shape.lookback * sizes.day_tokens, sizes.dim) * 0.02)
        self.decoder = Transformer(sizes.dim, sizes.decoder_depth, sizes.heads, sizes.dropout)
        self.day_part = nn.Linear(sizes.day_tokens * sizes.dim, sizes.dim // 2)
        self.asset_part = nn.Linear(sizes.asset_state, sizes.dim // 2)
        self.prices = nn.Linear(sizes.dim // 2, shape.n_prices)

    def forward(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> tuple[Float[Tensor, "B Lq d"], Float[Tensor, "B L N d"]]:
        """Returns the embedded days, and the embedded assets that they pool."""
        embedded = F.relu(self.features(features))  # its backward needs no second copy of the largest tensor
        days = self.assets(embedded, mask) + self.position + rearrange(self.calendar(calendar), "b l d -> b l 1 d")
        return rearrange(days, "b l q d -> b (l q) d"), embedded

    def decode(
        self, quantised: Float[Tensor, "B Lq d"], asset: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "S L P"]:
        """Returns every asset's prices from the quantised days and its state, which gets no gradient."""
        days = self.decoder(quantised + self.decoder_position)
        market = self.day_part(rearrange(days, "b (l q) d -> b l (q d)", q=self.day_tokens))
        own = self.asset_part(pack(asset.detach(), mask))
        rebuilt: Tensor = self.prices(F.relu(market[mask.nonzero()[:, 0]] + own[:, None]))
        return rebuilt


def attend(
    transformer: nn.Module,
    tokens: Float[Tensor, "S t d"],
    mask: Bool[Tensor, "B N"],
    days: Float[Tensor, "B x d"] | None = None,
) -> tuple[Float[Tensor, "S t d"], Float[Tensor, "B x d"]]:
    """Lets all time-series tokens of a day attend to each other, and to its cross-section tokens where given."""
    length = tokens.shape[1]
    sequence = rearrange(unpack(tokens, mask), "b n t d -> b (n t) d")
    visible = mask.repeat_interleave(length, dim=1)
    days = sequence[:, :0] if days is None else days
    visible = torch.cat([visible, visible.new_ones(days.shape[:2])], 1)
    mixed = transformer(torch.cat([sequence, days], 1), None if mask.all() else visible)
    assets = rearrange(mixed[:, : sequence.shape[1]], "b (n t) d -> b n t d", t=length)
    return pack(assets, mask), mixed[:, sequence.shape[1] :]


def mean_of_assets(packed: Float[Tensor, "S d"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B d"]:
    """Returns every day's mean over its listed assets, zero where there is none."""
    return reduce(unpack(packed, mask), "b n d -> b d", "sum") / mask.sum(-1, keepdim=True).clamp(min=1)
