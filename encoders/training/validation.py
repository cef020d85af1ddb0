"""How good a model is on some days: forecasts, losses and codebook use, over any number of processes.

The days are shared out among the processes and every day is counted exactly once. Forecasts come from `Encoder.infer`,
which cannot see a label; only the losses come from the training path.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from encoders.base import Encoder, evaluating
from encoders.data import TrainingData
from encoders.quantizers import dead_codes, perplexity, usage
from encoders.windows import Window, WindowStore
from evaluation.prediction import prediction_metrics, yearly_prediction
from market.arrays import IntArray
from market.forecasts import Forecasts


class Losses(NamedTuple):
    """Losses over some days, and what the codebooks were used for.

    Attributes:
        terms: Mean over days of the loss (``total``) and of each of its terms.
        counts: Tokens that chose each code, by codebook.
        example: The first window of this process with its rebuilt prices, where the encoder rebuilds them.
    """

    terms: dict[str, float]
    counts: dict[str, Tensor]
    example: tuple[Window, Tensor] | None


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Measures an encoder on days of one data set; every process must call the same methods in the same order.

    Attributes:
        accelerator: Tells the processes apart.
        data: Days, labels and returns.
        store: Its windows on the device of this process.
        batch_size: Days that one process looks at together.
    """

    accelerator: Accelerator
    data: TrainingData
    store: WindowStore
    batch_size: int

    def evaluate(self, encoder: Encoder, part: slice) -> tuple[Forecasts, Losses]:
        """Returns the forecasts of a part and, over those of its days that have a label, the losses."""
        return self.forecasts(encoder, part), self.losses(encoder, self.data.labelled_days(part))

    def forecasts(self, encoder: Encoder, part: slice) -> Forecasts:
        """Returns the forecasts of every day of `part` that has a whole look-back, in full precision."""
        shape = self.store.listed.shape
        device = self.store.features.device
        found = torch.zeros(3, *shape, dtype=torch.float64, device=device)  # mean, std, mask
        times = torch.zeros(shape[0], dtype=torch.int64, device=device)
        workspace = self.store.workspace(self.batch_size)
        with torch.no_grad(), evaluating(encoder):
            for days in self._share(self.data.window_days(part)):
                window = self.store.gather(days, workspace)
                forecast = encoder.infer(window.features, window.mask, window.calendar).forecast
                found[:, window.day] = torch.stack([forecast.mean, forecast.std, window.mask]).double()
                times[window.day] += 1
        found, times = self._summed(found), self._summed(times)
        assert int(times.max()) == 1, "a day was evaluated by two processes"
        found[:2, times == 0] = torch.nan
        mean, std, mask = found.cpu().numpy()
        return Forecasts(mean, std, mask.astype(np.bool_))

    def losses(self, encoder: Encoder, days: IntArray) -> Losses:
        """Returns the mean losses over `days`, each of which has a label, and the use of the codebooks."""
        device = self.store.features.device
        counts = {
            name: torch.zeros(size, dtype=torch.int64, device=device) for name, size in encoder.codebook_sizes.items()
        }
        names: list[str] = []
        sums = torch.zeros(0)
        example = None
        with torch.no_grad(), evaluating(encoder):
            for chunk, weight in self._equal_shares(days):
                window = self.store.gather(chunk)
                encoding = encoder(window)
                names = ["total", *encoding.terms]
                terms = torch.stack([encoding.loss, *encoding.terms.values()]).double() * weight
                sums = sums.to(device) + terms if len(sums) else terms
                for name, codes in encoding.codes.items():
                    counts[name] += weight.sign().long() * torch.bincount(
                        codes[codes >= 0], minlength=len(counts[name])
                    )
                if example is None and encoding.reconstruction is not None:
                    example = (window, encoding.reconstruction)
        means = self._summed(sums) / len(days)
        return Losses(
            dict(zip(names, means.tolist(), strict=True)),
            {name: self._summed(count).cpu() for name, count in counts.items()},
            example,
        )

    def _share(self, days: IntArray) -> Iterator[Tensor]:
        own = torch.from_numpy(days[self.accelerator.process_index :: self.accelerator.num_processes])
        for start in range(0, len(own), self.batch_size):
            yield own[start : start + self.batch_size]

    def _equal_shares(self, days: IntArray) -> Iterator[tuple[Tensor, Tensor]]:
        # Every process sees equally many batches, so that an encoder may talk to the others; filling weighs nothing.
        processes = self.accelerator.num_processes
        n_batches = -(-len(days) // processes // self.batch_size) or 1
        own = days[self.accelerator.process_index :: processes]
        for k in range(n_batches):
            chunk = own[k * self.batch_size : (k + 1) * self.batch_size]
            yield torch.from_numpy(chunk if len(chunk) else days[:1]), torch.tensor(float(len(chunk)))

    def _summed(self, value: Tensor) -> Tensor:
        summed: Tensor = self.accelerator.reduce(value, reduction="sum")
        return summed


def codebook_health(counts: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Returns perplexity, usage (share of codes used) and number of dead codes of each codebook."""
    return {
        name: {"perplexity": perplexity(count), "usage": usage(count), "dead_codes": dead_codes(count)}
        for name, count in counts.items()
    }


def prediction(data: TrainingData, forecasts: Forecasts, part: slice) -> dict[str, Any]:
    """Returns the prediction measures of a part, against plain returns."""
    return prediction_metrics(
        forecasts.mean[part], data.returns[part], forecasts.mask[part], horizon=data.label.horizon
    )


def by_year(data: TrainingData, forecasts: Forecasts, part: slice) -> list[dict[str, Any]]:
    """Returns the coefficients of each calendar year of a part, one entry a year."""
    table = yearly_prediction(
        forecasts.mean[part], data.returns[part], forecasts.mask[part], data.panel.dates[part]
    ).reset_index()
    rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in rows]
