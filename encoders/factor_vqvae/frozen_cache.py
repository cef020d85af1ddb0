"""A cache of a frozen part's outputs by day, so that a second stage computes them once a run and not every epoch."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from encoders.windows import Window, WindowStore


class FrozenCache:
    """Answers by day.

    Each day is asked for alone, so that an answer is the same to the bit whichever days it is wanted with: a run that
    was interrupted asks in other company than one that was not. Answers stay in memory on the windows' device.
    """

    def __init__(self, windows: WindowStore, ask: Callable[[Window], tuple[Tensor, ...]]) -> None:
        """Remembers nothing yet.

        Args:
            windows: Where days are looked up.
            ask: What is frozen; its tensors' first axis is put together over days, and they carry no gradient.
        """
        self.windows, self.ask = windows, ask
        self.answers: dict[int, tuple[Tensor, ...]] = {}

    def __call__(self, days: Int[Tensor, " B"]) -> list[Tensor]:
        """Returns what is said of these days, in their order."""
        rows = days.tolist()
        for day in rows:
            if day not in self.answers:
                window = self.windows.gather(torch.tensor([day]))
                self.answers[day] = tuple(answer.detach() for answer in self.ask(window))
        return [torch.cat(parts) for parts in zip(*(self.answers[day] for day in rows), strict=True)]
