"""Measures that are smooth functions of means, such as the Sharpe ratio: the form that studentised intervals need.

The mean and the root mean square of the losses decide the Sortino ratio, the mean logarithm the growth of wealth, and
so on. `FORMS` holds this form for the measures of `evaluation.performance` that have one; drawdowns have none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation import performance
from market.arrays import FloatArray

STEP = 1e-4  # of a column's standard deviation, for gradients by central differences
LARGEST_LOGARITHM = 100.0
RUINED = 1e-12  # a growth factor below this counts as this, so that its logarithm exists


@dataclass(frozen=True)
class Form:
    """A measure as a function of the means of a few columns.

    Attributes:
        columns: Columns ``[T, C]`` of series ``[T]``.
        value: Value ``[...]`` of the means ``[..., C]`` over `n_days` days; NaN where it is undefined.
        measure: Measure of the value, increasing: intervals are taken of the value, so that a wealth stays positive.
    """

    columns: Callable[..., FloatArray]
    value: Callable[[FloatArray, int], FloatArray]
    measure: Callable[[FloatArray, int], FloatArray] = lambda value, n_days: value

    def gradient(self, means: FloatArray, scale: FloatArray, n_days: int) -> FloatArray:
        """Returns the derivatives ``[..., C]`` of the value at `means` ``[..., C]``; `scale` ``[C]`` sizes the step."""
        sides = []
        for column in range(len(scale)):
            step = np.zeros(len(scale))
            step[column] = STEP * max(scale[column], np.finfo(np.float64).tiny ** 0.5)
            higher, lower = self.value(means + step, n_days), self.value(means - step, n_days)
            sides.append((higher - lower) / (2 * step[column]))
        return np.stack(sides, axis=-1)


def form_of(statistic: Callable[..., Any], periods_per_year: float = performance.DAYS_PER_YEAR) -> Form | None:
    """Returns the smooth form of a measure of one series, None where it has none."""
    make = FORMS.get(statistic)
    return None if make is None else make(periods_per_year)


def difference(form: Form) -> Form:
    """Returns the form of a measure of one series less the same measure of another."""

    def columns(first: FloatArray, second: FloatArray) -> FloatArray:
        return np.concatenate([form.columns(first), form.columns(second)], axis=1)

    def value(means: FloatArray, n_days: int) -> FloatArray:
        half = means.shape[-1] // 2
        parts = (means[..., :half], means[..., half:])
        first, second = (form.measure(form.value(part, n_days), n_days) for part in parts)
        return first - second

    return Form(columns, value)


def _mean(periods: float) -> Form:
    return Form(lambda series: series[:, None], _first)


def _volatility(periods: float) -> Form:
    def value(means: FloatArray, n_days: int) -> FloatArray:
        variance = _variance(means, n_days)
        return np.log(np.where(variance > 0, variance, np.nan)) / 2

    return Form(_squares, value, lambda value, n_days: np.sqrt(periods) * np.exp(_bounded(value)))


def _sharpe(periods: float) -> Form:
    def value(means: FloatArray, n_days: int) -> FloatArray:
        ratio: FloatArray = np.sqrt(periods) * _over(means[..., 0], np.sqrt(_variance(means, n_days)))
        return ratio

    return Form(_squares, value)


def _sortino(periods: float) -> Form:
    def columns(series: FloatArray) -> FloatArray:
        return np.stack([series, np.square(np.minimum(series, 0))], axis=1)

    def value(means: FloatArray, n_days: int) -> FloatArray:
        ratio: FloatArray = np.sqrt(periods) * _over(means[..., 0], np.sqrt(np.maximum(means[..., 1], 0)))
        return ratio

    return Form(columns, value)


def _annual_return(periods: float) -> Form:
    return Form(_logarithms, _first, lambda value, n_days: np.expm1(_bounded(periods * value)))


def _cumulative_return(periods: float) -> Form:
    return Form(_logarithms, _first, lambda value, n_days: np.expm1(_bounded(n_days * value)))


def _final_wealth(periods: float) -> Form:
    return Form(_logarithms, _first, lambda value, n_days: np.exp(_bounded(n_days * value)))


FORMS: Mapping[Callable[..., Any], Callable[[float], Form]] = {
    np.mean: _mean,
    performance.sharpe_ratio: _sharpe,
    performance.sortino_ratio: _sortino,
    performance.annual_return: _annual_return,
    performance.annual_volatility: _volatility,
    performance.cumulative_return: _cumulative_return,
    performance.final_wealth: _final_wealth,
}
"""The smooth form of each measure that has one, for a number of periods a year."""


def _first(means: FloatArray, n_days: int) -> FloatArray:
    return means[..., 0]


def _bounded(logarithm: FloatArray) -> FloatArray:
    """Keeps a logarithm within what a number can hold: bounds of intervals of a few wild days go anywhere."""
    bounded: FloatArray = np.clip(logarithm, -LARGEST_LOGARITHM, LARGEST_LOGARITHM)
    return bounded


def _squares(series: FloatArray) -> FloatArray:
    return np.stack([series, np.square(series)], axis=1)


def _logarithms(series: FloatArray) -> FloatArray:
    return np.log(np.maximum(1 + series, RUINED))[:, None]


def _variance(means: FloatArray, n_days: int) -> FloatArray:
    variance: FloatArray = np.maximum(means[..., 1] - np.square(means[..., 0]), 0) * n_days / (n_days - 1)
    return variance


def _over(mean: FloatArray, risk: FloatArray) -> FloatArray:
    known = risk > performance.ROUNDING * np.abs(mean)
    ratio: FloatArray = np.divide(mean, risk, out=np.full(np.shape(mean), np.nan), where=known)
    return ratio
