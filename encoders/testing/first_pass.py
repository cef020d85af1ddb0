"""One pass of a new encoder over a small window, so that a mistake in its code is told before hours of work."""

import random
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from encoders.base import Encoder, EncoderConfig, evaluating
from encoders.data import TrainingData
from encoders.training.hooks import FitStartHook
from encoders.windows import Window

FAULTS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
"""Errors that a mistake in the code of an encoder raises: shapes that do not fit, names that are not there."""
DAYS = 2
"""Days of the window; a batch of one would stop layers that normalise over it."""


def run_new_encoder(config: EncoderConfig, data: TrainingData) -> None:
    """Builds an encoder and runs it once on two train days; random numbers go on as if it had not been.

    Raises:
        ValueError: The encoder cannot be built, the data do not fit it, or its code fails on the window; one line.
    """
    days = np.asarray(data.train_days[:DAYS], dtype=np.int64)
    with _random_numbers_kept():
        encoder = config.build(data.store.shape)
        if isinstance(config, FitStartHook):
            config.begin(encoder, data)
        try:
            run_once(encoder, data.store.gather(torch.from_numpy(days)))
        except ValueError as error:
            raise ValueError(f"{error}; run encoders.testing.check_encoder") from error.__cause__


def run_once(encoder: Encoder, window: Window) -> None:
    """Runs `forward` and `infer` of an encoder once, without gradients; give it one that is not used afterwards.

    Raises:
        ValueError: One of them fails; a line with the class, the shape of the window and what was wrong where.
    """
    inputs = (window.features, window.mask, window.calendar)
    name = "forward"
    try:
        with torch.no_grad():
            encoder.train()(window)
            name = "infer"
            with evaluating(encoder):
                encoder.infer(*inputs)
    except FAULTS as error:
        shape = tuple(window.features.shape)
        first = next(iter(str(error).strip().splitlines()), "")
        raise ValueError(
            f"{type(encoder).__name__}.{name} fails on a window of shape (B, L, N, F) = {shape}: "
            f"{type(error).__name__}: {first}{_place(encoder, error)}"
        ) from error


def _place(encoder: Encoder, error: Exception) -> str:
    """Returns the line of the encoder's own module that an error came from."""
    own = type(encoder).__module__
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals.get("__name__") == own]
    return f" (line {lines[-1]} of {own})" if lines else ""


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Puts the generators of torch (on the CPU), numpy and Python back to where they were."""
    ours, arrays = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(arrays)
