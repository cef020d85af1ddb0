"""Pretraining: the only training loop of the project, for every encoder, on one process or many.

A run is a function of its seed, its data and its settings. Killed at any moment, the same call continues from the last
saved state and ends with the weights that it would have had without the interruption, to the bit, as long as the device
computes the same numbers twice.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from encoders.base import Encoder, EncoderConfig
from encoders.baselines.closed_form import ClosedForm
from encoders.checkpoint import Checkpoint, describe
from encoders.data import TrainingData
from encoders.training.best_epochs import BestEpochs
from encoders.training.early_stopping import TrainingProgress
from encoders.training.feature_dropout import FeatureDropout
from encoders.training.hooks import FitStartHook, FrozenCacheHook
from encoders.training.launch import make_accelerator, precision_of
from encoders.training.optim import Optim, epoch_batches
from encoders.training.results import Backtest, TrainingResult
from encoders.training.resume import Learner, load_state, save_state
from encoders.training.seeding import seed_step
from encoders.training.tensorboard import PretrainLogger
from encoders.training.validation import Evaluator, Losses, codebook_health
from evaluation.prediction import MIN_ASSETS
from market.arrays import IntArray
from market.artifacts import ENCODER_STATE, HISTORY
from market.curves import NO_CURVES, CurveLog
from market.storage.array_file import write_text

logger = logging.getLogger(__name__)

FIRST_WEIGHTS = 2**32 - 1  # stands where the number of a step would; no run has as many
COLLAPSED = 0.1  # share of codes in use below which a codebook deserves a warning


@dataclass(frozen=True, eq=False)
class Experiment:
    """Parts of a pretraining run, apart from the device.

    Attributes:
        encoder: Builds the encoder.
        data: What it learns from and is evaluated on.
        optim: How it learns.
        seed: Decides first weights, order of days and every random number.
        settings: The whole experiment as JSON; kept in the checkpoint and in TensorBoard.
        backtest: Measures of trading on a forecast, for valid and test; None leaves them out.
        listed: What TensorBoard lists beside the final measures; None lists the settings.
        should_stop: Asked before each epoch, with the validation metric of all finished ones, whether those were
            enough; None goes on to the end. A continued run asks again.
        test: Whether the best checkpoint is evaluated on the test days too. Its forecasts of them are kept in any case.
        upgraded: Returns settings that an earlier version wrote as today's version writes them.
        first_weights: A checkpoint of the same encoder to start from; None draws the weights anew.
        curves: Keeps the curves beside TensorBoard.
    """

    encoder: EncoderConfig
    data: TrainingData
    optim: Optim
    seed: int = 0
    settings: Mapping[str, Any] | None = None
    backtest: Backtest | None = None
    listed: Mapping[str, Any] | None = None
    should_stop: Callable[[Sequence[float | None]], bool] | None = None
    test: bool = True
    upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    first_weights: Checkpoint | None = None
    curves: CurveLog = NO_CURVES


def pretrain(experiment: Experiment, directory: str | Path) -> dict[str, Any]:
    """Trains an encoder, keeps its best checkpoint on valid, and returns its metrics on valid, and on test if asked.

    Writes ``model.safetensors`` (best on valid), ``last/state.safetensors`` (to continue from), ``history.jsonl``,
    ``tensorboard/`` and at last ``forecasts.safetensors`` and ``metrics.json``. Every process of a launch calls this
    function and must see the same `directory`; the first one writes. A `ClosedForm` is fitted instead of trained, and
    leaves the same files but the state.

    Args:
        experiment: What to run.
        directory: Where the files go; a state that it holds is continued.

    Raises:
        ValueError: A setting does not fit the data or the processes, the state in `directory` belongs to another run,
            or the loss became NaN or infinite; then the best checkpoint and the last good state remain.
    """
    if isinstance(experiment.encoder, ClosedForm):
        if experiment.first_weights is not None:
            raise ValueError(f"{type(experiment.encoder).__name__} is fitted at once; it starts from no weights")
        return _fit(experiment, experiment.encoder, Path(directory))
    run = _Run(experiment, Path(directory))
    progress, optim = run.resume(), experiment.optim
    if isinstance(run.encoder, FrozenCacheHook):
        run.encoder.use_windows(run.store)
    step = progress.epoch * run.n_batches + progress.batch
    shown = (run.directory / "tensorboard", optim.epochs * run.n_batches, step, run.first, experiment.curves)
    with PretrainLogger(*shown, run.data.panel) as monitor:
        while progress.epoch < optim.epochs and not run.over(progress):
            run.learn_epoch(progress, monitor)
            run.close_epoch(progress, monitor)
        run.average_best(progress)
        metrics = run.outcome.evaluate_best(run.encoder, progress.best_epoch, progress.epoch, experiment.test)
        monitor.finish(run.listed, metrics)
    return metrics


def _fit(experiment: Experiment, config: ClosedForm, directory: Path) -> dict[str, Any]:
    accelerator = make_accelerator(experiment.optim)
    data, metric = experiment.data, experiment.optim.metric
    encoder = config.fit(data.learnable, experiment.seed).to(accelerator.device)
    evaluator = Evaluator(accelerator, data, data.store.to(accelerator.device), experiment.optim.batch_size)
    about = describe(data, encoder, experiment.settings or {})
    outcome = TrainingResult(evaluator, directory, about, experiment.backtest)
    shown = (directory / "tensorboard", 1, 0, accelerator.is_main_process, experiment.curves)
    with PretrainLogger(*shown, data.panel) as monitor:
        train = evaluator.losses(encoder, data.train_days)
        forecasts, losses = evaluator.evaluate(encoder, data.days.valid)
        valid = outcome.measures(data.days.valid, forecasts, losses)
        outcome.keep(encoder, 0, metric, score(valid, metric))
        entry = {"epoch": 0, "step": 1, "train": train.terms, "valid": valid}
        monitor.epoch(1, entry, losses, encoder)
        if accelerator.is_main_process:
            _write_history(directory, [entry])
        metrics = outcome.evaluate_best(encoder, 0, 1, experiment.test)
        monitor.finish(experiment.listed or about["settings"], metrics)
    return metrics


class _Run:
    """A run in one process."""

    def __init__(self, experiment: Experiment, directory: Path) -> None:
        self.experiment, self.directory = experiment, directory
        self.data, self.optim = experiment.data, experiment.optim
        self.accelerator: Accelerator = make_accelerator(self.optim)
        self.first: bool = self.accelerator.is_main_process
        whole = self.data.store.to(self.accelerator.device)
        learnable = self.data.learnable
        self.store = whole.until(len(learnable.panel), learnable.days.valid.stop)
        seed_step(experiment.seed, FIRST_WEIGHTS, 0)  # the same on every process
        self.encoder = experiment.encoder.build(self.store.shape).to(self.accelerator.device)
        if isinstance(experiment.encoder, FitStartHook):
            experiment.encoder.begin(self.encoder, learnable)
        if experiment.first_weights is not None:
            experiment.first_weights.load_into(self.encoder)
        self.encoder.refuse_small_data(len(self.data.train_days))
        self.n_batches = len(epoch_batches(self.data.train_days, self.optim.batch_size, experiment.seed, 0))
        decay = self.optim.ema_decay
        average = None if decay is None else averaged(self.encoder, decay)
        groups = self.encoder.parameter_groups(self.optim.learning_rate, self.optim.weight_decay)
        optimizer = torch.optim.AdamW(groups, betas=self.optim.betas, fused=True)
        self.learner = Learner(self.encoder, optimizer, average)
        self.peaks = [group["lr"] / self.optim.learning_rate for group in optimizer.param_groups]
        self.model = self.accelerator.prepare(self.encoder)
        share = self.optim.batch_size // self.accelerator.num_processes
        self.workspace = self.store.workspace(share // self.optim.accumulation)
        self.augmented = FeatureDropout(self.data.pipeline.scaler.fields, self.optim.feature_dropout)
        self.evaluator = Evaluator(self.accelerator, self.data, whole, share)
        self.about = describe(self.data, self.encoder, experiment.settings or {})
        self.outcome = TrainingResult(self.evaluator, directory, self.about, experiment.backtest)
        self.best = BestEpochs(directory / "last", self.optim.average_best)

    @property
    def state_path(self) -> Path:
        return self.directory / "last" / ENCODER_STATE

    @property
    def validated(self) -> Encoder:
        """The encoder that is validated and kept: the averaged one where there is one."""
        average = self.learner.average
        return self.encoder if average is None else average.module  # type: ignore[return-value]

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that a continuation must share with the run."""
        return {
            "seed": self.experiment.seed,
            "optim": asdict(self.optim),
            "precision": precision_of(self.accelerator),
            "processes": self.accelerator.num_processes,
            "panel_fingerprint": self.about["panel_fingerprint"],
            "settings": self.about["settings"],
        }

    def resume(self) -> TrainingProgress:
        if not self.state_path.exists():
            return TrainingProgress()
        progress = load_state(self.state_path, self.learner, self.recipe, self.experiment.upgraded)
        logger.info("continuing in epoch %d, batch %d of %d", progress.epoch, progress.batch, self.n_batches)
        return progress

    @property
    def listed(self) -> Mapping[str, Any]:
        return self.experiment.listed or self.about["settings"]

    def over(self, progress: TrainingProgress) -> bool:
        """Returns whether the run ends here, although there are epochs left."""
        should_stop = self.experiment.should_stop
        if progress.exhausted(self.optim.patience) or should_stop is None:
            return progress.exhausted(self.optim.patience)
        return bool(should_stop(self.scores(progress)))

    def learn_epoch(self, progress: TrainingProgress, monitor: PretrainLogger) -> None:
        """Takes the batches of an epoch that are not done yet."""
        seed = self.experiment.seed
        batches = epoch_batches(self.data.train_days, self.optim.batch_size, seed, progress.epoch)
        for batch in batches[progress.batch :]:
            step = progress.epoch * self.n_batches + progress.batch
            rate = self.optim.rate(step, self.optim.epochs * self.n_batches)
            terms, norm = self.learn(batch, step, rate)
            progress.add(terms)
            monitor.step(step + 1, terms, rate, norm)
            if (step + 1) % self.optim.save_every == 0 and progress.batch < self.n_batches:
                self.save(progress)

    def learn(self, batch: IntArray, step: int, rate: float) -> tuple[dict[str, float], float]:
        """Takes one optimiser step on the days of `batch`; returns the loss by term and the gradient's norm."""
        for group, peak in zip(self.learner.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = rate * peak
        rank, parts = self.accelerator.process_index, self.optim.accumulation
        seed_step(self.experiment.seed, step, rank)
        share = torch.from_numpy(batch.reshape(parts, self.accelerator.num_processes, -1)[:, rank])
        sums: dict[str, Tensor] = {}
        weights = self.weights(share)
        for days, weight in zip(share, weights, strict=True):
            with self.accelerator.accumulate(self.model):
                encoding = self.model(self.augmented(self.store.gather(days, self.workspace)))
                for name, term in {"total": encoding.loss.detach(), **encoding.terms}.items():
                    sums[name] = sums.get(name, 0) + term.double() * weight / parts
                self.accelerator.backward(encoding.loss * weight)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.optim.clip_norm)
        means = self.accelerator.reduce(torch.stack(list(sums.values())), reduction="mean").tolist()
        terms = dict(zip(sums, means, strict=True))
        self._refuse_divergence(terms, float(norm), step, rate)
        self.learner.optimizer.step()
        self.learner.optimizer.zero_grad()
        if self.learner.average is not None:
            self.learner.average.update_parameters(self.encoder)
        return terms, float(norm)

    def weights(self, share: Int[Tensor, "parts n"]) -> list[float]:
        """Returns the weight of each part's loss: its share of the assets listed in the batch, one on average.

        Parts and processes with more listed assets have the larger weight. A loss that is a mean over listed assets has
        then the gradient of the batch taken at once. One that is a mean over days (ranks), or over the assets whose
        label is known, has it where every part lists and labels equally many, and otherwise comes close.
        """
        parts, processes = len(share), self.accelerator.num_processes
        if parts * processes == 1:
            return [1.0]
        listed = torch.stack([self.store.mask(days).sum() for days in share]).double()
        total = self.accelerator.reduce(listed.sum(), reduction="sum").clamp(min=1)
        weights: list[float] = (listed / total * parts * processes).tolist()
        return weights

    def close_epoch(self, progress: TrainingProgress, monitor: PretrainLogger) -> None:
        """Validates, keeps the checkpoint if it is the best so far, and saves the state."""
        step = (progress.epoch + 1) * self.n_batches
        forecasts, losses = self.evaluator.evaluate(self.validated, self.data.days.valid)
        valid = self.outcome.measures(self.data.days.valid, forecasts, losses)
        entry = {
            "epoch": progress.epoch,
            "step": step,
            "train": {name: total / progress.batch for name, total in progress.sums.items()},
            "valid": valid,
        }
        self._warn_of_collapse(progress.epoch, losses)
        value = score(valid, self.optim.metric)
        if value is None and progress.epoch == 0 and self.first:
            logger.warning(
                "the metric %s is undefined on the valid days (it needs %d assets a day whose forecasts differ); as "
                "long as it is, the loss chooses the checkpoint",
                self.optim.metric,
                MIN_ASSETS,
            )
        if progress.improves(value, valid["loss"]["total"]):
            self.outcome.keep(self.validated, progress.best_epoch, self.optim.metric, progress.best_value)
        monitor.epoch(step, entry, losses, self.validated)
        progress.finish_epoch(entry)
        if self.first:
            _write_history(self.directory, progress.history)
        if self.first and self.optim.average_best > 1:
            self.best.keep(self.scores(progress), self.validated.state_dict())
        self.save(progress)

    def scores(self, progress: TrainingProgress) -> list[float | None]:
        """Returns the validation metric of every finished epoch."""
        return [score(entry["valid"], self.optim.metric) for entry in progress.history]

    def average_best(self, progress: TrainingProgress) -> None:
        """Keeps the average of the best epochs where it is better on valid than the best of them."""
        scores = self.scores(progress) if self.optim.average_best > 1 else []
        if not self.best.best(scores):
            return
        self.accelerator.wait_for_everyone()
        self.encoder.load_state_dict(self.best.average(scores))
        forecasts, losses = self.evaluator.evaluate(self.encoder, self.data.days.valid)
        value = score(self.outcome.measures(self.data.days.valid, forecasts, losses), self.optim.metric)
        better = value is not None and (progress.best_value is None or value > progress.best_value)
        if self.first:
            logger.info(
                "best epochs averaged: valid %s %s; the best: %s", self.optim.metric, value, progress.best_value
            )
        if better:
            self.outcome.keep(self.encoder, progress.best_epoch, self.optim.metric, value)

    def save(self, progress: TrainingProgress) -> None:
        """Writes the state that a continuation starts from."""
        if self.first:
            save_state(self.state_path, self.learner, progress, self.recipe)
        self.accelerator.wait_for_everyone()

    def _warn_of_collapse(self, epoch: int, losses: Losses) -> None:
        for name, health in codebook_health(losses.counts).items():
            if health["usage"] < COLLAPSED and self.first:
                logger.warning("epoch %d: only %.1f %% of codebook %s in use", epoch, 100 * health["usage"], name)

    def _refuse_divergence(self, terms: Mapping[str, float], norm: float, step: int, rate: float) -> None:
        if math.isfinite(norm) and all(math.isfinite(value) for value in terms.values()):
            return
        listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        path = self.outcome.model_path
        kept = f"{path} keeps the best epoch" if path.exists() else "there is no checkpoint yet"
        raise ValueError(
            f"training diverged at step {step}: {listed}, gradient norm {norm:.4g}, learning rate {rate:.3g}; "
            f"{kept}; lower optim.learning_rate or optim.clip_norm"
        )


def score(valid: Mapping[str, Any], metric: str) -> float | None:
    """Returns the validation metric, more is better, of the measures of the valid days; None where undefined."""
    value: float | None = -valid["loss"]["total"] if metric == "loss" else valid[metric]
    return value


def _write_history(directory: Path, history: Sequence[Mapping[str, Any]]) -> None:
    write_text(directory / HISTORY, "".join(json.dumps(line) + "\n" for line in history))


def averaged(encoder: nn.Module, decay: float) -> AveragedModel:
    """Returns a copy of `encoder` whose weights follow it by exponential averages, and whose buffers equal its own.

    The first update copies the weights; the decay then rises to `decay`, so that early weights are soon forgotten.
    """

    def follow(average: Sequence[Tensor], current: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        n = int(n_averaged)
        torch._foreach_lerp_(list(average), list(current), 1.0 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(encoder, multi_avg_fn=torch.no_grad()(follow))
