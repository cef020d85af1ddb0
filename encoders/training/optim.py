"""Optimiser, learning-rate schedule, order of days and random numbers of a pretraining run.

Everything here is a function of the seed and of the step alone. A run that was killed therefore continues as if nothing
had happened, without any generator having been saved.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from market.arrays import IntArray

Precision = Literal["auto", "fp32", "bf16"]
Metric = Literal["rank_ic", "rank_icir", "ic", "icir", "loss"]
Decay = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True)
class Optim:
    """How a run learns: AdamW with warm-up, decay, clipping, averaged weights and early stopping.

    Attributes:
        epochs: Passes over the train days.
        batch_size: Days per optimiser step, over all processes and accumulated parts together.
        accumulation: Parts that a process takes its share of a batch in; more parts need less memory.
        learning_rate: Highest learning rate, reached after the warm-up.
        betas: Decay rates of AdamW's two moments.
        weight_decay: Decoupled decay of matrices; vectors and codebooks do not decay.
        warmup: Share of all steps in which the learning rate rises linearly from zero.
        decay: How the learning rate falls to zero afterwards, if it does.
        clip_norm: Gradients longer than this are shortened to it.
        ema_decay: Decay of the averaged weights that are validated and kept; None keeps the plain weights.
        average_best: Epochs whose weights are averaged at the end, those with the best `metric`; the average is kept
            where it is better on valid than the best of them alone. One keeps the best epoch.
        feature_dropout: Share of the groups of features that training drops each day
            (`encoders.training.feature_dropout`).
        patience: Epochs without a better `metric` after which the run stops; None never stops early.
        metric: Validation measure that chooses the checkpoint; ``loss`` is the only one that should be small.
        precision: Arithmetic of the forward pass; ``auto`` takes bf16 where the hardware has it, otherwise fp32.
        save_every: Optimiser steps between two saves of the resume state; the end of an epoch always saves.
    """

    epochs: int = 30
    batch_size: int = 32
    accumulation: int = 1
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    warmup: float = 0.1
    decay: Decay = "linear"
    clip_norm: float = 1.0
    ema_decay: float | None = None
    average_best: int = 1
    feature_dropout: float = 0.0
    patience: int | None = 10
    metric: Metric = "rank_ic"
    precision: Precision = "auto"
    save_every: int = 200

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulation", "save_every", "average_best"):
            if getattr(self, name) < 1:
                raise ValueError(f"optim: {name} is {getattr(self, name)}, expected at least 1")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optim: {name} is {getattr(self, name)}, expected more than 0")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"optim: warmup is {self.warmup}, expected a share of all steps in [0, 1)")
        if not 0 <= self.feature_dropout < 1:
            raise ValueError(f"optim: feature_dropout is {self.feature_dropout}, expected a share in [0, 1)")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"optim: ema_decay is {self.ema_decay}, expected a number in (0, 1), or None")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"optim: patience is {self.patience} epochs, expected at least 1, or None")

    def rate(self, step: int, n_steps: int) -> float:
        """Returns the learning rate of optimiser step `step` (from 0) of `n_steps`."""
        n_warmup = math.ceil(self.warmup * n_steps)
        if step < n_warmup:
            return self.learning_rate * (step + 1) / n_warmup
        done = (step - n_warmup) / max(n_steps - n_warmup, 1)
        factor = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}[self.decay]
        return self.learning_rate * factor


def epoch_batches(days: IntArray, batch_size: int, seed: int, epoch: int) -> IntArray:
    """Returns the days of an epoch in random order, ``[n_batches, batch_size]``.

    No day appears twice. What does not fill a batch is left out, other days in each epoch.

    Raises:
        ValueError: There are fewer days than a batch holds.
    """
    n_batches = len(days) // batch_size
    if n_batches == 0:
        raise ValueError(f"optim: batch_size is {batch_size}, but train has only {len(days)} usable days; lower it")
    order = np.random.default_rng((seed, epoch)).permutation(days)
    return order[: n_batches * batch_size].reshape(n_batches, batch_size)
