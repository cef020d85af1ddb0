"""Results of a pretraining run: the best checkpoint, the measures of each part, and at last the metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from encoders.base import Encoder
from encoders.checkpoint import Checkpoint, answers_of
from encoders.training.calibration import coverage, std_scale
from encoders.training.validation import Evaluator, Losses, by_year, codebook_health, prediction
from market.arrays import FloatArray
from market.artifacts import FORECASTS, METRICS, MODEL
from market.forecasts import ForecastRecord, Forecasts
from market.storage.array_file import write_json

Backtest = Callable[[FloatArray, slice], Mapping[str, float | None]]
"""Measures, by name, of trading on a forecast ``[T, N]`` over some rows."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Evaluates encoders and writes down what was found; the first process writes.

    Attributes:
        evaluator: Measures on the data of the run.
        directory: Where the files go.
        about: What the checkpoint says of the run (`encoders.checkpoint.describe`).
        backtest: Measures of trading on a forecast; None leaves them out.
    """

    evaluator: Evaluator
    directory: Path
    about: Mapping[str, Any]
    backtest: Backtest | None

    @property
    def model_path(self) -> Path:
        """Where the best checkpoint lies."""
        return self.directory / MODEL

    def measures(self, part: slice, forecasts: Forecasts, losses: Losses) -> dict[str, Any]:
        """Returns prediction, loss, codebook and, where wanted, portfolio measures of a part."""
        found = {
            **prediction(self.evaluator.data, forecasts, part),
            "loss": losses.terms,
            "codebooks": codebook_health(losses.counts),
        }
        if self.backtest is not None:
            found["portfolio"] = dict(self.backtest(forecasts.mean, part))
        return found

    def keep(self, encoder: Encoder, epoch: int | None, metric: str, value: float | None) -> None:
        """Writes the checkpoint of an encoder that is the best so far by `metric` on valid."""
        if self.evaluator.accelerator.is_main_process:
            chosen = {"epoch": epoch, "metric": metric, "value": value}
            scaler = self.evaluator.data.pipeline.scaler.arrays()
            answers = answers_of(encoder, self.evaluator.data.store.shape)
            Checkpoint(encoder.state_dict(), scaler, {**self.about, **chosen}, answers).save(self.model_path)

    def evaluate_best(
        self, encoder: Encoder, best_epoch: int | None, n_epochs: int, test: bool = False
    ) -> dict[str, Any]:
        """Returns and writes the metrics of the checkpoint, put into `encoder`, on valid and, where asked, on test.

        Deviations are calibrated on valid (`encoders.training.calibration`), and the checkpoint learns by how much. The
        forecasts of both parts are kept beside the metrics, so that runs can be compared day by day; a forecast that is
        not held against what came true is no look at the test days.
        """
        evaluator = self.evaluator
        evaluator.accelerator.wait_for_everyone()
        checkpoint = Checkpoint.load(self.model_path)
        checkpoint.load_into(encoder)
        train = evaluator.losses(encoder, evaluator.data.train_days)
        parts = evaluator.data.evaluated_parts
        asked = [name for name in parts if test or name != "test"]
        seen = {name: evaluator.evaluate(encoder, parts[name]) for name in asked}
        scale = std_scale(evaluator.data, seen["valid"][0], parts["valid"])
        metrics: dict[str, Any] = {
            "best_epoch": best_epoch,
            "n_epochs": n_epochs,
            "n_parameters": sum(parameter.numel() for parameter in encoder.parameters()),
            "fit_end": self.about["fit_end"],
            "std_scale": scale,
            "train": {"loss": train.terms, "codebooks": codebook_health(train.counts)},
        }
        made = {
            name: seen[name][0] if name in seen else evaluator.forecasts(encoder, part) for name, part in parts.items()
        }
        forecasts = {name: one._replace(std=one.std * scale) for name, one in made.items()}
        for name in asked:
            part = parts[name]
            metrics[name] = self.measures(part, forecasts[name], seen[name][1]) | {
                "coverage_90": coverage(evaluator.data, forecasts[name], part),
                "per_year": by_year(evaluator.data, forecasts[name], part),
            }
        if evaluator.accelerator.is_main_process:
            replace(checkpoint, about={**checkpoint.about, "std_scale": scale}).save(self.model_path)
            ForecastRecord.of(evaluator.data.panel, forecasts, parts).save(self.directory / FORECASTS)
            write_json(self.directory / METRICS, metrics)
        return metrics
