"""Networks of a VAE of returns: inference of factors, decoding of returns, and the condition.

In training a day passes batch normalisation together with the other days of its batch; in evaluation, which is all
that a frozen encoder knows, it passes alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.distributed import summed_over_ranks
from encoders.distributions import Normal
from encoders.factor_vae import Head

SLOPE = 0.2
"""Of the leaky rectifier below zero."""


@dataclass(frozen=True)
class CrossSection:
    """Factors are inferred from the cross-section of the day alone.

    Attributes:
        hidden: Widths of the layers between the returns and the factors.
    """

    hidden: tuple[int, ...] = (64, 32)

    def build(self, n_inputs: int, factors: int) -> "CrossInference":
        """Returns the network from `n_inputs` numbers a day to factors."""
        return CrossInference(n_inputs, self.hidden, factors)


@dataclass(frozen=True)
class RecurrentWindow:
    """Factors are inferred from all days of the window, by a gated recurrent network over their cross-sections.

    Attributes:
        hidden: Width of the network.
    """

    hidden: int = 64

    def build(self, n_inputs: int, factors: int) -> "RecurrentInference":
        """Returns the network from `n_inputs` numbers a day to factors."""
        return RecurrentInference(n_inputs, self.hidden, factors)


@dataclass(frozen=True)
class SectorCondition:
    """A condition: the mean return of each sector on the day, which factors then need not explain.

    Attributes:
        labels: Sector of each asset, in the order of the panel.
    """

    labels: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The sectors, each once, in alphabetical order."""
        return tuple(sorted(set(self.labels)))

    def build(self, n_assets: int) -> "SectorMeans":
        """Returns what computes the means.

        Raises:
            ValueError: There is not one label an asset.
        """
        if len(self.labels) != n_assets:
            raise ValueError(
                f"Sectors: {len(self.labels)} labels for {n_assets} assets; give one an asset in the order of the "
                "panel, or name a table of sectors with tools.discover --sectors"
            )
        return SectorMeans(self)


class Unconditional(nn.Module):
    """Placeholder condition of an unconditional model."""

    width = 0

    def forward(self, days: Float[Tensor, "B L N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B L 0"]:
        """Returns no number a day."""
        return days[..., :0]


class SectorMeans(nn.Module):
    """Mean of each sector's listed assets; zero where none is listed."""

    member: Tensor

    def __init__(self, sectors: SectorCondition) -> None:
        super().__init__()
        rows = [[float(label == name) for label in sectors.labels] for name in sectors.names]
        self.register_buffer("member", torch.tensor(rows), persistent=False)  # the configuration holds it already
        self.width = len(sectors.names)

    def forward(self, days: Float[Tensor, "B L N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B L S"]:
        """Returns the means of days that are zero where masked."""
        count = einsum(self.member, mask.float(), "s n, b n -> b s").clamp(min=1)
        return einsum(days, self.member, "b l n, s n -> b l s") / rearrange(count, "b s -> b 1 s")


class DenseLayer(nn.Module):
    """A linear map, batch normalisation and a leaky rectifier."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        self.norm = nn.BatchNorm1d(n_outputs)

    def forward(self, x: Float[Tensor, "B i"]) -> Float[Tensor, "B o"]:
        """Returns the layer's output."""
        out: Tensor = F.leaky_relu(self.norm(self.linear(x)), SLOPE)
        return out

    def pushed(self, x: Float[Tensor, "B i"], tangents: Float[Tensor, "B K i"]) -> Float[Tensor, "B K o"]:
        """Returns the derivatives of the output where `tangents` are those of the input `x`; in evaluation mode."""
        assert self.norm.running_var is not None
        gain = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
        slope = torch.where(self.norm(self.linear(x)) > 0, 1.0, SLOPE).to(x.dtype)
        return tangents @ self.linear.weight.mT * gain * rearrange(slope, "b o -> b 1 o")


class CrossInference(nn.Module):
    """Feed-forward network on the last day; see `CrossSection`."""

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], factors: int) -> None:
        super().__init__()
        widths = (n_inputs, *hidden)
        self.layers = nn.Sequential(*(DenseLayer(*pair) for pair in zip(widths, hidden, strict=False)))
        self.head = Head(widths[-1], factors)

    def forward(self, days: Float[Tensor, "B L i"]) -> Normal:
        """Returns the distribution of the factors of the last day."""
        found: Normal = self.head(self.layers(days[:, -1]))
        return found


class RecurrentInference(nn.Module):
    """Gated recurrent network over the days; see `RecurrentWindow`."""

    def __init__(self, n_inputs: int, hidden: int, factors: int) -> None:
        super().__init__()
        self.days = nn.GRU(n_inputs, hidden, batch_first=True)
        self.head = Head(hidden, factors)

    def forward(self, days: Float[Tensor, "B L i"]) -> Normal:
        """Returns the distribution of the factors of the last day."""
        found: Normal = self.head(self.days(days)[0][:, -1])
        return found


class VAEDecoder(nn.Module):
    """Standardised returns from the factors of a day and what is given of it."""

    def __init__(self, factors: int, given: int, hidden: tuple[int, ...], n_assets: int) -> None:
        super().__init__()
        self.factors = factors
        widths = (factors + given, *hidden)
        self.layers = nn.ModuleList(DenseLayer(*pair) for pair in zip(widths, hidden, strict=False))
        self.out = nn.Linear(widths[-1], n_assets)

    def forward(self, factors: Float[Tensor, "B K"], given: Float[Tensor, "B S"]) -> Float[Tensor, "B N"]:
        """Returns the expected returns."""
        x = torch.cat([factors, given], -1)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.out(x)
        return out

    def loadings(self, factors: Float[Tensor, "B K"], given: Float[Tensor, "B S"]) -> Float[Tensor, "B N K"]:
        """Returns the derivatives of the expected returns with respect to the factors; in evaluation mode."""
        x = torch.cat([factors, given], -1)
        tangents = repeat(
            torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[: self.factors], "k i -> b k i", b=len(x)
        )
        for layer in self.layers:
            assert isinstance(layer, DenseLayer)
            x, tangents = layer(x), layer.pushed(x, tangents)
        return rearrange(tangents @ self.out.weight.mT, "b k n -> b n k")


class AssetScale(nn.Module):
    """Mean and standard deviation of each asset's returns over all that training has seen of it, over all ranks."""

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, n_assets: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(n_assets, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_assets, dtype=torch.float64))
        self.register_buffer("square", torch.ones(n_assets, dtype=torch.float64))

    @property
    def std(self) -> Float[Tensor, " N"]:
        """Standard deviations; one where an asset never moved."""
        variance = self.square - self.mean.square()
        return torch.where(variance > 1e-12, variance, 1.0).sqrt().float()

    @torch.no_grad()
    def observe(self, returns: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> None:
        """Counts the days of a training batch."""
        seen = returns.double().where(mask, 0.0)
        sums = summed_over_ranks(torch.stack([mask.double().sum(0), seen.sum(0), seen.square().sum(0)]))
        self.count += sums[0]
        share = 1 / self.count.clamp(min=1)
        self.mean += (sums[1] - sums[0] * self.mean) * share
        self.square += (sums[2] - sums[0] * self.square) * share

    def standard(self, days: Float[Tensor, "B L N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B L N"]:
        """Returns standard deviations from the mean; zero where masked."""
        return ((days - self.mean.float()) / self.std).where(rearrange(mask, "b n -> b 1 n"), 0.0)

    def restore(self, standard: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns standardised returns in their own units; NaN where masked."""
        return (self.mean.float() + self.std * standard).where(mask, torch.nan)
