"""Encoders whose factors explain returns: they reconstruct a day, and sample a new one."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@runtime_checkable
class GenerativeFactorModel(Protocol):
    """An encoder whose market state is a day's factors, and whose asset states are loadings on them (`PCA`, `VAE`)."""

    def reconstruct(self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the last day as its factors explain it, in the feature's own units; NaN where masked."""
        ...

    def draw(
        self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"], generator: torch.Generator
    ) -> Float[Tensor, "B N"]:
        """Returns a simulated day for each of these; of the days themselves only what is given to the model is used."""
        ...
