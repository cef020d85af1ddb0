"""The bars of the last 60 days as a sequence beside the features of a window.

Alpha360 writes the bars of 60 days, in units of the last one, into columns of that day
(`market.features.alpha360`). Scaled column by column they mean the same for every asset and day. Here they become a
sequence again: a few days to a patch, one recurrent step a patch. A step a day takes five times as long and learns
slowly.

Reference: the feature set is that of qlib's GRU on Alpha360; patches are those of Nie et al. (2023), PatchTST, section
3.1. https://arxiv.org/abs/2211.14730
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from encoders.base import Encoder
from encoders.data import TrainingData
from market.features.alpha360 import DAYS

FIELDS = ("CLOSE", "OPEN", "HIGH", "LOW", "VWAP", "VOLUME")


@dataclass(frozen=True)
class BarHistory:
    """How the bars of the last 60 days are read; the last columns of the features hold them.

    Attributes:
        hidden: Width of the recurrent network.
        patch: Days in a step; divides 60.
        vwap: Whether average prices are among the columns; Alpha360 drops them where a panel cannot tell them.
    """

    hidden: int = 64
    patch: int = 5
    vwap: bool = True

    def __post_init__(self) -> None:
        if self.patch < 1 or DAYS % self.patch:
            raise ValueError(f"BarHistory: patch is {self.patch} days, expected a divisor of {DAYS}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        fields = (name for name in FIELDS if self.vwap or name != "VWAP")
        return tuple(f"{name}{day}" for name in fields for day in range(DAYS - 1, -1, -1))

    def refuse_other_columns(self, names: Sequence[str]) -> None:
        """Refuses features that do not end in the bars of 60 days.

        Raises:
            ValueError: They do not; names the first column that differs.
        """
        last, wanted = tuple(names)[-len(self.columns) :], self.columns
        if last != wanted:
            odd = next(((a, b) for a, b in zip(last, wanted, strict=False) if a != b), ("nothing", wanted[0]))
            raise ValueError(
                f"encoder.bars: the features have {odd[0]} where {odd[1]} should be; end them with Alpha360 "
                "(market.features.union), and say in encoder.bars.vwap whether the panel has average prices"
            )

    def build(self, width: int) -> "BarNetwork":
        """Returns a new network whose answer is `width` wide."""
        return BarNetwork(self, width)


class BarReader:
    """Base of encoder configs whose field `bars` says how the last columns of the features are read."""

    bars: BarHistory | None

    def begin(self, encoder: Encoder, data: TrainingData) -> None:
        """Refuses features that do not end in the bars that are to be read."""
        if self.bars is not None:
            self.bars.refuse_other_columns(data.pipeline.scaler.fields)


class BarNetwork(nn.Module):
    """A recurrent network over patches of days, read on the last one."""

    def __init__(self, config: BarHistory, width: int) -> None:
        super().__init__()
        self.config = config
        n_fields = len(config.columns) // DAYS
        self.patches = nn.Linear(n_fields * config.patch, config.hidden)
        self.days = nn.GRU(config.hidden, config.hidden)
        self.out = nn.Linear(config.hidden, width)

    def forward(self, columns: Float[Tensor, "S C"]) -> Float[Tensor, "S w"]:
        """Returns what the bars of each row say."""
        patches = rearrange(columns, "s (f t p) -> t s (f p)", t=DAYS // self.config.patch, p=self.config.patch)
        _, last = self.days(F.leaky_relu(self.patches(patches)))
        answer: Tensor = self.out(last[0])
        return answer


def bar_columns(bars: BarHistory | None) -> int:
    """Returns the number of columns that hold bars; zero without."""
    return 0 if bars is None else len(bars.columns)
