"""One pass of a new encoder over two train days, before anything is audited or learnt."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from encoders.base import EncoderConfig
from encoders.data import TrainingData
from encoders.testing.first_pass import run_once
from encoders.training.hooks import FitStartHook

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
