"""One pass of a new encoder over a small window, so that a mistake in its code is told before hours of work."""

import traceback

import torch

from encoders.base import Encoder, evaluating
from encoders.windows import Window

FAULTS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
"""Errors that a mistake in the code of an encoder raises: shapes that do not fit, names that are not there."""


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
