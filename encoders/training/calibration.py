"""Whether a forecast's deviations are as wide as they say: how many labels lie in its 90 % intervals.

A likelihood with clipped labels, or a deviation learnt in calmer years, is too narrow or too wide. One factor, chosen
on the valid days so that nine in ten of their labels lie inside, puts all deviations right on average; ranks and means
do not change.

Reference: Kuleshov et al. (2018), Accurate uncertainties for deep learning using calibrated regression, in its
simplest form. https://arxiv.org/abs/1807.00263
"""

import numpy as np

from encoders.data import TrainingData
from market.arrays import FloatArray
from market.forecasts import Forecasts

SHARE = 0.9
"""Share of labels that an interval is to cover."""

HALF_WIDTH = 1.6448536269514722
"""Deviations from the mean to either end of it, of a normal variable."""


def std_scale(data: TrainingData, forecasts: Forecasts, part: slice) -> float:
    """Returns the factor of all deviations with which the intervals cover nine in ten labels of a part; one if none.

    Labels are those that the encoder forecasts, in their own units.
    """
    apart = _apart(data, forecasts, part)
    scale = float(np.quantile(apart, SHARE)) / HALF_WIDTH if len(apart) else 1.0
    return scale if np.isfinite(scale) and scale > 0 else 1.0


def coverage(data: TrainingData, forecasts: Forecasts, part: slice) -> float | None:
    """Returns the share of labels of a part that lie in their 90 % interval; None where no label is known."""
    apart = _apart(data, forecasts, part)
    return float((apart <= HALF_WIDTH).mean()) if len(apart) else None


def _apart(data: TrainingData, forecasts: Forecasts, part: slice) -> FloatArray:
    """Returns how many deviations each known label of a part lies from its forecast, ``[cells]``."""
    label = data.store.forward_return[part].cpu().numpy().astype(np.float64)
    mean, std, mask = (each[part] for each in forecasts)
    known = mask & np.isfinite(label) & np.isfinite(mean) & (std > 0)
    apart: FloatArray = np.abs(label[known] - mean[known]) / std[known]
    return apart
