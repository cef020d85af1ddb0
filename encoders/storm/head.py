"""An asset's own window as an addition to its state, past the tokens: a recurrent network behind a bounded gate.

Codes keep what rebuilds prices, which is not what predicts them: a ridge finds in STORM's quantised tokens a third of
the signal that it finds in the inputs. The network here reads the same window for the label alone. Its part of a state
is bounded, and a gate that sees the tokens decides how much of it counts, so that tokens stay the base of the state.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.bars import BarHistory
from encoders.common.layers import pack
from encoders.factor_vae import Embedding


@dataclass(frozen=True)
class GatedHead:
    """A residual of an asset's state.

    Attributes:
        hidden: Width of its recurrent network.
        bound: Largest change of a state's number.
    """

    hidden: int = 64
    bound: float = 1.0

    def __post_init__(self) -> None:
        if self.hidden < 1 or not self.bound > 0:
            raise ValueError(
                f"GatedHead: hidden is {self.hidden} and bound {self.bound}, expected at least 1 and more than 0"
            )


class GatedResidual(nn.Module):
    """Adds ``bound * sigmoid(gate(state)) * tanh(network(window))`` to the states of packed assets."""

    def __init__(self, config: GatedHead, n_features: int, state: int, bars: BarHistory | None) -> None:
        super().__init__()
        self.bound = config.bound
        self.embedding = Embedding(n_features, config.hidden, bars)
        self.out = nn.Linear(config.hidden, state)
        self.gate = nn.Linear(state, state)

    def read(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "S H"]:
        """Returns what the windows of packed assets say."""
        return pack(self.embedding(features, mask), mask)

    def forward(self, state: Float[Tensor, "S D"], own: Float[Tensor, "S H"]) -> Float[Tensor, "S D"]:
        """Returns the states with what their windows add."""
        changed: Tensor = state + self.bound * torch.sigmoid(self.gate(state)) * torch.tanh(self.out(own))
        return changed
