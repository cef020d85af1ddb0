"""Networks of FactorVQVAE's first stage: columns of the features, an extractor, tokens of labels, a decoder."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.bars import BarHistory, bar_columns
from encoders.common.distributions import positive_std
from encoders.common.layers import short_attention

INNER = 32  # width of a scalar's hidden layer


class PackedWindows(NamedTuple):
    """Windows of the listed assets of a batch, `S` of them, time first."""

    features: Float[Tensor, "L S f"]
    realised: Float[Tensor, "S L"]


def pack_windows(features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], n_market: int) -> PackedWindows:
    """Returns what assets' own columns are for."""
    B, L, N = features.shape[:3]
    day, asset = mask.nonzero(as_tuple=True)
    step = torch.arange(L, device=mask.device)[:, None]
    row = ((day * L + step) * N + asset).flatten()
    rows, n_base = features.reshape(B * L * N, -1), features.shape[-1] - 1 - n_market
    own = rows[:, :n_base].index_select(0, row)  # nothing but these columns is copied
    return PackedWindows(own.view(L, len(day), n_base), rows[:, n_base].index_select(0, row).view(L, len(day)).mT)


def market_of(features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], n_market: int) -> Float[Tensor, "B L m"]:
    """Returns the market's columns, a mean over listed assets; zero where there are none."""
    share = mask / mask.sum(-1, keepdim=True).clamp(min=1)
    with torch.autocast(features.device.type, enabled=False):
        return einsum(share, features[..., -n_market:], "b n, b l n m -> b l m")


class Extractor(nn.Module):
    """Embedding of an asset's features: normed, embedded, and read day by day by a recurrent network.

    Where there are bars they have a network of their own, whose answer is added.
    """

    def __init__(self, n_features: int, hidden: int, norm: bool = True, bars: BarHistory | None = None) -> None:
        super().__init__()
        self.n_bars = bar_columns(bars)
        n_own = n_features - self.n_bars
        # without weights of its own: the next map says all that they would
        self.norm = nn.LayerNorm(n_own, elementwise_affine=False) if norm else nn.Identity()
        self.features = nn.Linear(n_own, hidden)
        self.days = nn.GRU(hidden, hidden)
        self.bars = None if bars is None else bars.build(hidden)

    def forward(self, features: Float[Tensor, "L S f"]) -> Float[Tensor, "S H"]:
        """Returns the embedding on the last day."""
        own = features[..., : features.shape[-1] - self.n_bars]
        _, last = self.days(F.leaky_relu(self.features(self.norm(own))))
        embedded: Tensor = last[0].float()
        if self.bars is not None:
            embedded = embedded + self.bars(features[-1, :, -self.n_bars :]).float()
        return embedded


class ReturnTokenizer(nn.Module):
    """Labels to tokens: a label mixed with those that were known on its own day.

    Item ``r`` of a sequence is the label of day ``r - span``; it attends to itself and to items up to ``r - span``. An
    item after the last stands for the label of the last day, `span` rows on: it attends to all of them.
    """

    distance: Tensor

    def __init__(self, dim: int, heads: int, lookback: int, span: int) -> None:
        super().__init__()
        self.heads = heads
        self.inner = nn.Linear(1, INNER)
        self.wide = nn.Linear(INNER, 4 * dim)  # the label itself, query, key, value
        self.out = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(lookback + 1, heads))  # by days back from its own day; the last for itself
        own_day = torch.cat([torch.arange(lookback) - span, torch.tensor([lookback - 1])])
        back = own_day[:, None] - torch.arange(lookback + 1)
        back[:, lookback] = -1  # nobody else sees the unknown label
        back.fill_diagonal_(lookback)
        self.register_buffer("distance", back, persistent=False)

    def forward(self, labels: Float[Tensor, "S n"]) -> Float[Tensor, "S n d"]:
        """Returns the tokens of standard labels, of the rows of a window or of these and the last day's own."""
        wide = self.wide(F.gelu(self.inner(labels[..., None])))
        n, dim = labels.shape[1], self.out.in_features
        own, others = wide.split((dim, 3 * dim), -1)
        query, key, value = rearrange(others, "s n (three h k) -> three s h n k", three=3, h=self.heads)
        back = self.distance[:n, :n]
        bias = rearrange(self.bias[back.clamp(min=0)], "n m h -> h n m")
        mixed = short_attention(query, key, value, back >= 0, bias)
        token: Tensor = own + self.out(mixed)
        return token.float()


class ReturnDistribution(NamedTuple):
    """Mean and deviation of the labels of packed assets, in standard units."""

    mean: Float[Tensor, " S"]
    std: Float[Tensor, " S"]


class FactorVQVAEDecoder(nn.Module):
    """Labels from factors: what is an asset's own, and how far it follows each factor."""

    def __init__(self, hidden: int, n_factors: int) -> None:
        super().__init__()
        self.own = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(), nn.Linear(hidden, 2))
        self.exposure = nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(), nn.Linear(hidden, n_factors))

    def forward(self, asset: Float[Tensor, "S H"], *factors: Float[Tensor, "S k"]) -> tuple[ReturnDistribution, ...]:
        """Returns the labels under each set of factors."""
        with torch.autocast(asset.device.type, enabled=False):
            own, width = self.own(asset).unbind(-1)
            exposure, std = self.exposure(asset), positive_std(width)
            return tuple(ReturnDistribution((exposure * each.float()).sum(-1) + own, std) for each in factors)
