"""Hooks of an encoder before its first step: check that the data fit, load an earlier stage."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from encoders.base import Encoder, EncoderConfig
from encoders.checkpoint import Checkpoint
from encoders.data import TrainingData
from encoders.windows import WindowStore
from market.artifacts import MODEL
from market.prices.labels import Label


@runtime_checkable
class FitStartHook(EncoderConfig, Protocol):
    """A configuration whose encoder must see the data before it is trained."""

    def begin(self, encoder: Encoder, data: TrainingData) -> None:
        """Prepares a new encoder for training on `data`; the same on every process. Restoring one does not call it.

        Raises:
            ValueError: The data do not fit, with what differs.
        """
        ...


@runtime_checkable
class SecondStage(EncoderConfig, Protocol):
    """A configuration that names the run of an earlier stage."""

    def of_seed(self, seed: int) -> EncoderConfig:
        """Returns the same on that run's twin of a seed, ``<run>_seed_<seed>``."""
        ...


@runtime_checkable
class FrozenCacheHook(Protocol):
    """An encoder with a frozen part, which reads each training day once a run instead of once an epoch."""

    def use_windows(self, windows: WindowStore) -> None:
        """Takes notice of what training is on, when all weights are those that it starts or goes on from."""
        ...


def checkpoint_of_same_data(run: str | Path, data: TrainingData, remedy: str) -> Checkpoint:
    """Returns the best checkpoint of a run that learnt from the same data as `data` and from no later day.

    Args:
        run: Directory of the run.
        data: What is being trained on, or put together from finished runs.
        remedy: What to do where there is no such run.

    Raises:
        ValueError: There is none, or its features, label, scaling or last day are others; with what differs.
    """
    path = Path(run) / MODEL
    if not path.exists():
        raise ValueError(f"{path}: no such file; {remedy}")
    checkpoint, scaler = Checkpoint.load(path), data.pipeline.scaler
    differing = None
    if tuple(checkpoint.about["features"]) != scaler.fields:
        differing = f"{len(checkpoint.about['features'])} features, this one {len(scaler.fields)} or others"
    elif Label(**checkpoint.about["label"]) != data.label:
        differing = f"label {checkpoint.about['label']}, this one {asdict(data.label)}"
    elif np.datetime64(checkpoint.about["fit_end"], "D") > data.fit_end:
        differing = f"days until {checkpoint.about['fit_end']}, this one until {data.fit_end}"
    elif not _same(checkpoint.scaler, scaler.arrays()):
        differing = "another scaling of the features, or fitted it on other days"
    if differing:
        raise ValueError(f"{path}: that run learnt from {differing}; train both on the same data")
    return checkpoint


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return set(one) == set(other) and all(
        np.array_equal(np.asarray(value), np.asarray(other[name]), equal_nan=True) for name, value in one.items()
    )


def refuse_misaligned(data: TrainingData, column: int, span: int) -> None:
    """Refuses data in which a column is not the label of `span` days ago, value by value.

    A row too early would let an encoder read a label that is not known yet; a row too late is no leak, but no
    training either: what is learnt as the next label would be another one.

    Args:
        data: What will be trained on.
        column: Position of the column with realised labels.
        span: Days after which a label is known, as the encoder counts them.

    Raises:
        ValueError: It is another label, other days ago, or scaled.
    """
    if data.label.span != span:
        raise ValueError(
            f"encoder: span is {span} days, but a label of fill '{data.label.fill}' and horizon {data.label.horizon} "
            f"is known after {data.label.span}; set encoder.span to that"
        )
    name = data.pipeline.scaler.fields[column]
    found, label, listed = data.store.features[:, :, column], data.store.forward_return, data.store.listed
    for days in (span, *(other for other in range(span + 3) if other != span)):
        rows = slice(days, len(found))
        there = label[: len(found) - days].isfinite() & listed[rows]
        gap = (found[rows] - label[: len(found) - days]).abs()[there]
        if float((gap > 1e-5).double().mean() if len(gap) else 1.0) < 0.01:  # of cells; halts may fill in
            if days == span:
                return
            raise ValueError(
                f"feature {name} holds the label of {days} days ago, but a label is known after {span}; compute it "
                "with market.features.realised for the label of the experiment"
            )
    raise ValueError(
        f"feature {name} is not the label of {span} days ago; its label in `features` must be that of the experiment, "
        "and its scaling market.scaling.by_column.NoScaling"
    )
