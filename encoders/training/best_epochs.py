"""The weights of a run's best epochs, and their average.

The noise of single epochs is as large as what they still learn; in the average of a few good ones it cancels. Weights
of one run lie in one basin, so that their mean is a network as good as they are, and it costs nothing to run.

Reference: Izmailov et al. (2018), Averaging weights leads to wider optima and better generalization, section 3.
https://arxiv.org/abs/1803.05407
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from encoders.training.resume import to_arrays, to_tensors
from market.arrays import AnyArray
from market.storage.array_file import read_arrays, write_arrays

KIND, VERSION = "epoch-weights", 1


@dataclass(frozen=True)
class BestEpochs:
    """Keeps the weights of the epochs with the best validation metric in files, so that a killed run has them.

    Attributes:
        directory: Where the files lie.
        count: Epochs to keep.
    """

    directory: Path
    count: int

    def path(self, epoch: int) -> Path:
        """Where the weights of an epoch lie."""
        return self.directory / f"epoch_{epoch}.safetensors"

    def best(self, scores: Sequence[float | None]) -> list[int]:
        """Returns the best epochs by their scores, the better first; of equal ones the earlier. None never counts."""
        known = [(-score, epoch) for epoch, score in enumerate(scores) if score is not None]
        return [epoch for _, epoch in sorted(known)[: self.count]]

    def keep(self, scores: Sequence[float | None], weights: Mapping[str, Tensor]) -> None:
        """Writes the weights of the last epoch if it is among the best, and deletes those that no longer are.

        Args:
            scores: Validation metric of every epoch so far, more is better.
            weights: Those of the last one.
        """
        best, last = self.best(scores), len(scores) - 1
        if last in best:
            write_arrays(self.path(last), to_arrays(weights), {"kind": KIND, "version": VERSION, "epoch": last})
        for epoch in set(range(len(scores))).difference(best):
            self.path(epoch).unlink(missing_ok=True)

    def average(self, scores: Sequence[float | None]) -> dict[str, Tensor]:
        """Returns the mean weights of the best epochs; what is no fraction (a counter, a flag) is the best epoch's.

        Raises:
            ValueError: A file is missing or damaged.
        """
        each = [read_arrays(self.path(epoch), KIND, VERSION)[0] for epoch in self.best(scores)]
        return to_tensors({name: _mean([one[name] for one in each]) for name in each[0]})


def _mean(values: Sequence[AnyArray]) -> AnyArray:
    if not np.issubdtype(values[0].dtype, np.floating) or len({value.shape for value in values}) > 1:
        return values[0]
    mean: AnyArray = np.mean([value.astype(np.float64) for value in values], axis=0).astype(values[0].dtype)
    return mean
