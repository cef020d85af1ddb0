"""The alphabet of every feature: causal operators on ``[T, N]`` arrays, time first.

Row ``t`` of a result uses rows ``<= t`` only, and none of them is ever revised: the result for ``x[:t]`` is the first
`t` rows of the result for `x`, to the last bit. Assets never mix. A window of `window` days ends on day ``t`` and holds
at most the days that exist, so the first rows use shorter windows (qlib's ``min_periods=1``).

Missing values follow pandas: NaN and infinities do not count, and a window without enough valid values (one; two for
`std`, `var`, `slope`, `rsquare`, `residual`, `corr` and `cov`) gives NaN. A ratio whose denominator is zero is missing,
and so is a comparison of which one side is (pandas answers infinity and False, which the next mean would count). The
definitions are those of qlib's operators
(https://qlib.readthedocs.io/en/latest/component/data.html); where they differ, the function says so.

The functions here are for arrays. `market.features.expressions` has the same names for formulas, and `ALPHABET`
describes each operator to whoever evaluates them: operators that share a `sweep` are computed by one pass over the
data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.arrays import FloatArray, IntArray
from market.features.kernels import pointwise
from market.features.kernels import rolling as kernels

Parameters = tuple[float, ...]
Statistic = tuple[str, Parameters]
"""Name of an operator with its parameters after the window."""
Sweep = Callable[[Sequence[FloatArray], IntArray, Sequence[Statistic], IntArray], FloatArray]
"""(operands ``[n, T]``, rising windows ``[W]``, statistics ``[S]``, first row of each series) to ``[S, W, n, T]``."""

Kernel = Callable[[Sequence[FloatArray], IntArray, IntArray, IntArray, FloatArray], None]
"""(operands without infinities, windows, codes of the statistics, first rows, out ``[S, W, n, T]``)."""


def delay(x: FloatArray, window: int) -> FloatArray:
    """Returns the value of `window` days ago; the first rows are NaN. A day from now cannot be asked for."""
    return _roll("delay", (window,), x)


def total(x: FloatArray, window: int) -> FloatArray:
    """Returns the sum of the valid values; NaN, not zero, where there is none (qlib's Sum)."""
    return _roll("total", (window,), x)


def mean(x: FloatArray, window: int) -> FloatArray:
    """Returns the mean of the valid values."""
    return _roll("mean", (window,), x)


def var(x: FloatArray, window: int) -> FloatArray:
    """Returns the variance of the valid values, divisor n - 1; exactly zero where they are all equal."""
    return _roll("var", (window,), x)


def std(x: FloatArray, window: int) -> FloatArray:
    """Returns the standard deviation of the valid values, divisor n - 1; exactly zero where they are all equal."""
    return _roll("std", (window,), x)


def slope(x: FloatArray, window: int) -> FloatArray:
    """Returns the least-squares slope over time, in units of `x` per day; days without a value leave a gap in time."""
    return _roll("slope", (window,), x)


def rsquare(x: FloatArray, window: int) -> FloatArray:
    """Returns the squared correlation with time; NaN where all values are equal.

    qlib also erases it where the standard deviation is below 2e-5, a guard against rounding that is not needed here.
    """
    return _roll("rsquare", (window,), x)


def residual(x: FloatArray, window: int) -> FloatArray:
    """Returns the last value less the least-squares line over time; NaN where the last value is missing."""
    return _roll("residual", (window,), x)


def highest(x: FloatArray, window: int) -> FloatArray:
    """Returns the highest valid value (qlib's Max)."""
    return _roll("highest", (window,), x)


def lowest(x: FloatArray, window: int) -> FloatArray:
    """Returns the lowest valid value (qlib's Min)."""
    return _roll("lowest", (window,), x)


def argmax(x: FloatArray, window: int) -> FloatArray:
    """Returns the place of the highest value: 1 for the first day of the window, the earliest on a tie (qlib's IdxMax).

    Days without a value are counted but never win; in qlib the first of them wins.
    """
    return _roll("argmax", (window,), x)


def argmin(x: FloatArray, window: int) -> FloatArray:
    """Returns the place of the lowest value, counted as in `argmax` (qlib's IdxMin)."""
    return _roll("argmin", (window,), x)


def rank(x: FloatArray, window: int) -> FloatArray:
    """Returns the last value's rank among the valid ones as a share in (0, 1], ties averaged; NaN where missing."""
    return _roll("rank", (window,), x)


def quantile(x: FloatArray, window: int, level: float) -> FloatArray:
    """Returns the quantile at `level` in [0, 1] of the valid values, interpolated linearly."""
    return _roll("quantile", (window, level), x)


def ema(x: FloatArray, window: int) -> FloatArray:
    """Returns the exponential mean over the whole past, as pandas' ``ewm(span=window).mean()`` does (qlib's EMA)."""
    return _roll("ema", (window,), x)


def cov(x: FloatArray, y: FloatArray, window: int) -> FloatArray:
    """Returns the covariance over the days on which both are valid, divisor n - 1."""
    return _roll("cov", (window,), x, y)


def corr(x: FloatArray, y: FloatArray, window: int) -> FloatArray:
    """Returns the correlation over the days on which both are valid; NaN where either is constant on those days.

    qlib also erases it where a standard deviation is below 2e-5, a guard against rounding that is not needed here.
    """
    return _roll("corr", (window,), x, y)


@dataclass(frozen=True)
class Operator:
    """An operator as an evaluator sees it: its signature, and how to compute it.

    Attributes:
        operands: Number of arrays it takes.
        parameters: Names of the numbers that follow them.
        sweep: Pass that computes it together with other statistics and windows of the same operands; None if pointwise.
        pointwise: Function of the values of one day; None for a rolling operator.
    """

    operands: int
    parameters: tuple[str, ...] = ()
    sweep: Sweep | None = None
    pointwise: Callable[..., Any] | None = None

    def check(self, name: str, parameters: Parameters) -> None:
        """Raises ValueError unless `parameters` are a whole window of at least a day and a level in [0, 1]."""
        for label, value in zip(self.parameters, parameters, strict=True):
            if label == "window" and not (value >= 1 and float(value).is_integer()):
                raise ValueError(
                    f"{name}: window is {value:g}, expected a whole number of days, at least 1; "
                    "an operator looks back, never ahead"
                )
            if label == "level" and not 0 <= value <= 1:
                raise ValueError(f"{name}: level is {value:g}, expected a number from 0 to 1")


def _valid(operands: Sequence[FloatArray]) -> list[FloatArray]:
    valid = np.logical_and.reduce([np.isfinite(x) for x in operands])
    return [np.where(valid, x, np.nan) for x in operands]


def _results(windows: IntArray, statistics: Sequence[Statistic], x: FloatArray) -> FloatArray:
    return np.empty((len(statistics), len(windows), *x.shape))


def _sweep_with(codes: Mapping[str, int], kernel: Kernel) -> Sweep:
    """Returns the sweep of a kernel; `codes` are the names and numbers of its statistics."""

    def sweep(
        operands: Sequence[FloatArray], windows: IntArray, statistics: Sequence[Statistic], start: IntArray
    ) -> FloatArray:
        out = _results(windows, statistics, operands[0])
        wanted = np.array([codes[name] for name, _ in statistics])
        kernel(_valid(operands), windows, wanted, start, out)
        return out

    return sweep


def _sweep_delays(
    operands: Sequence[FloatArray], windows: IntArray, statistics: Sequence[Statistic], start: IntArray
) -> FloatArray:
    out = _results(windows, statistics, operands[0])
    for j, window in enumerate(windows):
        out[0, j, :, :window] = np.nan
        out[0, j, :, window:] = operands[0][:, :-window]
    return out


def _sweep_quantiles(
    operands: Sequence[FloatArray], windows: IntArray, statistics: Sequence[Statistic], start: IntArray
) -> FloatArray:
    out = _results(windows, statistics, operands[0])
    levels = np.array([level for _, (level,) in statistics])
    kernels.quantiles(_valid(operands)[0], windows, levels, out)
    return out


def _lowest(
    operands: Sequence[FloatArray], windows: IntArray, wanted: IntArray, start: IntArray, out: FloatArray
) -> None:
    kernels.extremes(-operands[0], start, windows, wanted, out)
    np.negative(out, out=out, where=(wanted == kernels.HIGHEST)[:, None, None, None])


_SUMS = _sweep_with(
    {"total": kernels.SUM, "mean": kernels.MEAN},
    lambda x, windows, wanted, start, out: kernels.sums(x[0], windows, wanted, out),
)
_SPREAD = _sweep_with(
    {"var": kernels.VAR, "std": kernels.STD},
    lambda x, windows, wanted, start, out: kernels.moments(x[0], windows, wanted, False, out),
)
_TREND = _sweep_with(
    {"slope": kernels.SLOPE, "rsquare": kernels.RSQUARE, "residual": kernels.RESIDUAL},
    lambda x, windows, wanted, start, out: kernels.moments(x[0], windows, wanted, True, out),
)
_PAIRS = _sweep_with(
    {"cov": kernels.COV, "corr": kernels.CORR},
    lambda x, windows, wanted, start, out: kernels.pairs(x[0], x[1], windows, wanted, out),
)
_HIGHEST = _sweep_with(
    {"highest": kernels.HIGHEST, "argmax": kernels.ARGMAX},
    lambda x, windows, wanted, start, out: kernels.extremes(x[0], start, windows, wanted, out),
)
_LOWEST = _sweep_with({"lowest": kernels.HIGHEST, "argmin": kernels.ARGMAX}, _lowest)
_RANKS = _sweep_with({"rank": 0}, lambda x, windows, wanted, start, out: kernels.ranks(x[0], windows, out))
_DECAYED = _sweep_with({"ema": 0}, lambda x, windows, wanted, start, out: kernels.decayed_means(x[0], windows, out))


def _where(condition: FloatArray, then: FloatArray, otherwise: FloatArray) -> FloatArray:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, then, otherwise))


def _rolling(sweep: Sweep, *names: str, operands: int = 1, level: bool = False) -> dict[str, Operator]:
    parameters = ("window", "level") if level else ("window",)
    return {name: Operator(operands, parameters, sweep=sweep) for name in names}


ALPHABET: dict[str, Operator] = {
    "+": Operator(2, pointwise=np.add),
    "-": Operator(2, pointwise=np.subtract),
    "*": Operator(2, pointwise=np.multiply),
    "/": Operator(2, pointwise=pointwise.ratio),
    "<": Operator(2, pointwise=pointwise.less),
    "<=": Operator(2, pointwise=pointwise.less_equal),
    ">": Operator(2, pointwise=pointwise.greater),
    ">=": Operator(2, pointwise=pointwise.greater_equal),
    "abs": Operator(1, pointwise=np.abs),
    "log": Operator(1, pointwise=np.log),
    "sign": Operator(1, pointwise=np.sign),
    "sqrt": Operator(1, pointwise=np.sqrt),
    "maximum": Operator(2, pointwise=np.maximum),
    "minimum": Operator(2, pointwise=np.minimum),
    "where": Operator(3, pointwise=_where),
    **_rolling(_sweep_delays, "delay"),
    **_rolling(_SUMS, "total", "mean"),
    **_rolling(_SPREAD, "var", "std"),
    **_rolling(_TREND, "slope", "rsquare", "residual"),
    **_rolling(_HIGHEST, "highest", "argmax"),
    **_rolling(_LOWEST, "lowest", "argmin"),
    **_rolling(_RANKS, "rank"),
    **_rolling(_sweep_quantiles, "quantile", level=True),
    **_rolling(_DECAYED, "ema"),
    **_rolling(_PAIRS, "cov", "corr", operands=2),
}
"""Every operator a formula can use, by its name in formulas."""


def _roll(name: str, parameters: Parameters, *operands: FloatArray) -> FloatArray:
    operator = ALPHABET[name]
    operator.check(name, parameters)
    if any(x.ndim != 2 or x.shape != operands[0].shape for x in operands):
        raise ValueError(f"{name}: operands have shapes {[x.shape for x in operands]}, expected one shape [T, N]")
    assert operator.sweep is not None
    blocks = [np.ascontiguousarray(x.T, dtype=np.float64) for x in operands]
    start = np.zeros(blocks[0].shape[0], dtype=np.int64)
    windows = np.array([int(parameters[0])])
    out = operator.sweep(blocks, windows, ((name, parameters[1:]),), start)
    return np.ascontiguousarray(out[0, 0].T)
