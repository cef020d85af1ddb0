"""Columns of a user's table that forecast too well: nobody can prove when they were known, but luck has its limits."""

import logging

import numpy as np

from encoders.data import TrainingData
from evaluation.prediction import daily_rank_ic
from market.audit import externals_of

TOO_GOOD = 0.15
"""Mean daily rank IC beyond which a column is told of; honest ones are within .06."""
DAYS = 500
"""Train days that are looked at, evenly spread."""

logger = logging.getLogger(__name__)


def early_columns(data: TrainingData) -> dict[str, float]:
    """Returns the mean daily rank IC on train days of each external column that is beyond `TOO_GOOD` in size."""
    names = [one.name for one in externals_of(data.pipeline.features) if one.name in data.pipeline.scaler.fields]
    if not names:
        return {}
    train = np.arange(len(data.panel))[data.days.train]
    days = np.unique(train[np.linspace(0, len(train) - 1, min(DAYS, len(train))).astype(int)])
    values, mask = data.store.feature_array()[days], data.panel.listed[days]
    found = {}
    for name in names:
        series = daily_rank_ic(values[..., data.pipeline.scaler.fields.index(name)], data.returns[days], mask)
        if np.isfinite(series).any():
            found[name] = float(np.nanmean(series))
    return {name: value for name, value in found.items() if abs(value) > TOO_GOOD}


def warn_of_early_columns(data: TrainingData) -> None:
    """Warns of columns that look as if they knew the return that is to be forecast."""
    lags = {one.name: one.lag for one in externals_of(data.pipeline.features)}
    for name, value in early_columns(data).items():
        logger.warning(
            "%s forecasts the train days with a rank IC of %.2f by itself, far beyond an honest .06: does it know the "
            "future? You say that it is known %d trading days after its day, which no audit can prove",
            name,
            value,
            lags[name],
        )
