"""Early stopping: where a run stands, which of its epochs is the best on valid, and when it has waited long enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainingProgress:
    """Where a run stands.

    Attributes:
        epoch: Epoch that is under way, from 0.
        batch: Batches of it that are done.
        sums: Sum over these batches of the loss and of each of its terms.
        history: One entry a finished epoch.
        best_epoch: Epoch of the best checkpoint so far.
        best_value: Its validation metric.
        best_loss: Its validation loss, which chooses as long as the metric is undefined.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float | None = None
    best_loss: float | None = None

    def add(self, terms: Mapping[str, float]) -> None:
        """Counts one more batch."""
        self.batch += 1
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in terms.items()}

    def improves(self, value: float | None, loss: float | None = None) -> bool:
        """Returns whether `value` of the epoch under way is the best so far, and if so takes note of it.

        The first epoch always is; an undefined value (None) is worse than any other, and among undefined ones the
        smaller loss is better.
        """
        if self.best_epoch is None:
            better = True
        elif value is not None:
            better = self.best_value is None or value > self.best_value
        else:
            better = self.best_value is None and loss is not None and (self.best_loss is None or loss < self.best_loss)
        if better:
            self.best_epoch, self.best_value, self.best_loss = self.epoch, value, loss
        return better

    def finish_epoch(self, entry: dict[str, Any]) -> None:
        """Moves on to the next epoch."""
        self.history.append(entry)
        self.epoch, self.batch, self.sums = self.epoch + 1, 0, {}

    def exhausted(self, patience: int | None) -> bool:
        """Returns whether `patience` epochs have passed without a better checkpoint."""
        return patience is not None and self.best_epoch is not None and self.epoch - 1 - self.best_epoch >= patience
