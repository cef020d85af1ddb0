"""The contract of every encoder: a set function over assets that cannot see a label, another day or the future.

A new encoder is one file: a frozen config dataclass with `build`, and an `Encoder` with `forward` (what training sees)
and `infer` (what is frozen and deployed). ``tests/encoders/conformance.py`` holds what every one of them must satisfy.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.windows import InputShape, Window


class State(NamedTuple):
    """State of a day: one vector per asset and one of the market; codes where it quantises."""

    asset: Float[Tensor, "B N D"]
    market: Float[Tensor, "B M"]
    codes: Int[Tensor, "B N K"] | None


class Forecast(NamedTuple):
    """Mean and standard deviation of the label, in the label's own units."""

    mean: Float[Tensor, "B N"]
    std: Float[Tensor, "B N"]


class Inference(NamedTuple):
    """Everything that one pass of a frozen encoder yields; `tokens` are raw and by name, empty unless asked for."""

    state: State
    forecast: Forecast
    tokens: Mapping[str, Tensor]


class Encoding(NamedTuple):
    """Output of the training path.

    Attributes:
        loss: The scalar to descend.
        terms: Each weighted term of the loss by name, detached; they sum to the loss.
        forecast: The forecast as `predict` would make it (from the prior, without the label).
        codes: Codes used in this batch, by codebook name: any shape, -1 where masked.
        reconstruction: Rebuilt prices, where the encoder rebuilds them.
    """

    loss: Float[Tensor, ""]
    terms: Mapping[str, Tensor]
    forecast: Forecast
    codes: Mapping[str, Int[Tensor, "..."]]
    reconstruction: Float[Tensor, "B L N P"] | None

    @classmethod
    def summed(
        cls,
        terms: Mapping[str, Tensor],
        forecast: Forecast,
        codes: Mapping[str, Int[Tensor, "..."]] | None = None,
        reconstruction: Float[Tensor, "B L N P"] | None = None,
    ) -> "Encoding":
        """Returns the encoding whose loss is the sum of weighted terms that still carry their gradients."""
        detached = {name: value.detach() for name, value in terms.items()}
        return cls(torch.stack(list(terms.values())).sum(), detached, forecast, codes or {}, reconstruction)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts a module and its parts into evaluation mode, and back into the mode each of them was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


class Encoder(nn.Module, ABC):
    """A set function over assets.

    Every encoder satisfies, and the conformance suite checks:

    * a masked asset changes nothing for the others, and its own state is zero and its forecast NaN;
    * permuting the assets permutes the output, and N may differ between training and use, where not said otherwise;
    * a day's output does not depend on the other days of the batch;
    * `infer`, `encode` and `predict` cannot receive labels by signature, draw no random numbers and change no state.
    """

    @property
    @abstractmethod
    def codebook_sizes(self) -> Mapping[str, int]:
        """Number of codes of each codebook by name; empty where nothing is quantised."""

    @property
    def tokens_per_day(self) -> Mapping[str, int]:
        """Tokens that one day of the training assets brings to each codebook, by name."""
        return {}

    def refuse_small_data(self, n_days: int) -> None:
        """Refuses training data that holds fewer tokens than a codebook has codes.

        Args:
            n_days: Days to train on.

        Raises:
            ValueError: A codebook is larger than the data, with the numbers.
        """
        for name, per_day in self.tokens_per_day.items():
            size = self.codebook_sizes[name]
            if n_days * per_day < size:
                raise ValueError(
                    f"codebook {name} has {size} codes, but {n_days} training days x {per_day} tokens are only "
                    f"{n_days * per_day} tokens; use a smaller codebook or more days"
                )

    @abstractmethod
    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter."""

    @abstractmethod
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast of a batch in one pass; deterministic.

        Raw tokens take many times the memory of the states, so they are made only where `tokens` asks for them.
        """

    def encode(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> State:
        """Returns the states of a batch."""
        return self.infer(features, mask, calendar).state

    def predict(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> Forecast:
        """Returns mean and standard deviation of the label; two calls agree."""
        return self.infer(features, mask, calendar).forecast

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Returns the optimiser's groups: matrices decay, vectors and codebooks do not."""
        trained = [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]
        decays = [parameter for name, parameter in trained if parameter.ndim > 1 and "codebook" not in name]
        others = [parameter for name, parameter in trained if parameter.ndim <= 1 or "codebook" in name]
        groups = [
            {"params": decays, "lr": learning_rate, "weight_decay": weight_decay},
            {"params": others, "lr": learning_rate, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]


@runtime_checkable
class EncoderConfig(Protocol):
    """A frozen dataclass that holds all sizes and weights of one encoder."""

    @property
    def lookback(self) -> int:
        """Days of history that a window holds."""
        ...

    def build(self, shape: InputShape) -> Encoder:
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: A size does not fit (a patch that does not divide the look-back, ...), with the numbers.
        """
        ...
