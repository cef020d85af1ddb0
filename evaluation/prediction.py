"""How good a forecast of the cross-section is: information coefficients, quantile spreads, decay.

Every measure compares, day by day, a forecast ``mean [T, N]`` with what came true, ``label [T, N]``.

Which cells count
-----------------
A cell counts where `mask` is true and forecast and label are both finite. A day counts where at least `MIN_ASSETS`
cells do and neither forecast nor label is the same in all of them; other days are left out, never zero. A measure that
is undefined on what remains is None.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from evaluation.bootstrap import bootstrap_interval, overlapping_block
from market.arrays import AnyFloatArray, BoolArray, DateArray, FloatArray
from market.scaling.cross_section import average_ranks, quantile_classes

MIN_ASSETS = 3
ROUNDING = 1e-12  # a spread of daily coefficients below this is rounding
BLOCK = 256  # days compared at once, to bound memory

SUSPICIOUS_RATIO = 1.3
SUSPICIOUS_CHANCE = 0.01


def prediction_metrics(
    mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, horizon: int = 1, seed: int = 0
) -> dict[str, Any]:
    """Returns the prediction measures of a forecast, ready for ``metrics.json``.

    * ``ic``, ``rank_ic``: mean over days of the daily Pearson and Spearman correlation (ties share average ranks);
    * ``icir``, ``rank_icir``: that mean over the standard deviation of the days (``ddof=1``), not annualised;
    * ``rank_ic_t``: t statistic of ``rank_ic`` with Newey-West errors, beyond ±1.96 in one of twenty worthless cases;
    * ``rank_ic_ci``: its 95 % interval ``[low, high]`` by the stationary block bootstrap; equal seeds, equal interval;
    * ``n_days``, ``n_assets``: days, and assets on any of them, that count; ``n_days_left_out``: days that do not
      although a cell does;
    * ``suspicious``: see `suspiciously_stable`.

    Neither an increasing function of the forecast nor the order of the assets changes ``rank_ic``; negating the
    forecast negates it. Values are floats, None where undefined.

    Args:
        mean: ``[T, N]`` forecast; NaN where there is none.
        label: ``[T, N]`` what came true; NaN where unknown.
        mask: ``[T, N]`` true where the forecast is to be evaluated.
        horizon: Days that a label spans; labels that overlap are not independent, and errors account for it.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: Shapes differ.
    """
    counted = counted_cells(mean, label, mask)
    ic, rank_ic = daily_ic(mean, label, mask), daily_rank_ic(mean, label, mask)
    days = np.isfinite(rank_ic)
    return {
        "ic": _mean(ic),
        "icir": _information_ratio(ic),
        "rank_ic": _mean(rank_ic),
        "rank_icir": _information_ratio(rank_ic),
        "rank_ic_t": newey_west_t(rank_ic[days], horizon),
        "rank_ic_ci": bootstrap_interval(np.mean, rank_ic[days], min_block=overlapping_block(horizon), seed=seed),
        "n_days": int(days.sum()),
        "n_days_left_out": int((counted.any(axis=1) & ~days).sum()),
        "n_assets": int(counted[days].any(axis=0).sum()),
        "suspicious": suspiciously_stable(rank_ic, counted.sum(axis=1)),
    }


def counted_cells(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray) -> BoolArray:
    """Returns where forecast and label can be compared, ``[T, N]``.

    Raises:
        ValueError: Shapes differ.
    """
    if mean.ndim != 2 or not mean.shape == label.shape == mask.shape:
        raise ValueError(
            f"prediction: mean is {mean.shape}, label {label.shape}, mask {mask.shape}; all must be [T, N] alike"
        )
    counted: BoolArray = mask.astype(np.bool_) & np.isfinite(mean) & np.isfinite(label)
    return counted


def daily_ic(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray) -> FloatArray:
    """Returns the Pearson correlation of forecast and label over the assets of each day, ``[T]``; NaN where undefined.

    Raises:
        ValueError: Shapes differ.
    """
    return _daily(mean, label, mask, _identity)


def daily_rank_ic(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray) -> FloatArray:
    """Returns the Spearman correlation of forecast and label over the assets of each day, ``[T]``; NaN where undefined.

    Raises:
        ValueError: Shapes differ.
    """
    return _daily(mean, label, mask, _ranks)


def newey_west_t(series: FloatArray, horizon: int = 1) -> float | None:
    """Returns the t statistic of the mean of `series` with Newey-West errors; None where undefined.

    Bartlett weights over `newey_west_lags`. That many lags make the errors nearly unbiased but random, so the plain
    statistic would lie beyond 1.96 too often; it is divided by how much further out its 5 % bound lies, to
    Kiefer and Vogelsang's approximation, so that 1.96 is the bound again.

    Reference: Newey and West (1987), A Simple, Positive Semi-definite Covariance Matrix; Lazarus et al. (2018), HAR
    Inference, for the lags; Kiefer and Vogelsang (2005), A New Asymptotic Theory for HAC Tests, for the bounds.
    """
    days = len(series)
    if days < 2 or series.std() <= ROUNDING:
        return None
    lags = newey_west_lags(days, horizon)
    share = (lags + 1) / days
    bound = 1 + (2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3) / 1.96
    centred = series - series.mean()
    variance = centred @ centred
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag])
    error = np.sqrt(variance / days / (days - 1))
    return float(series.mean() / error / bound) if error > 0 else None


def newey_west_lags(days: int, horizon: int = 1) -> int:
    """Returns the lags of Newey-West errors: ``2 sqrt(T)``, and four times the days that neighbours have in common."""
    return min(max(math.ceil(2 * math.sqrt(days)), 4 * horizon if horizon > 1 else 0), days - 1)


def suspiciously_stable(rank_ic: FloatArray, n_assets: AnyFloatArray | Sequence[int]) -> bool:
    """Returns whether daily RankICs vary less than chance alone makes them vary.

    With N assets the coefficient of a day has a standard deviation of at least about ``1 / sqrt(N - 1)``, so a ratio
    ``rank_icir`` above ``1.3 rank_ic sqrt(N - 1)`` points at a leak or a mistake (smoothed labels, one day counted
    many times, ranks of other quantities), unless the signal is overwhelming. On few days such a spread can be luck;
    true only where that has a probability below 1 %.

    Args:
        rank_ic: ``[T]`` daily coefficients, NaN on days that do not count.
        n_assets: ``[T]`` number of assets of each day.
    """
    from scipy import stats  # slow to import

    days = np.isfinite(rank_ic)
    if days.sum() < 2:
        return False
    floor = np.mean(1 / (np.asarray(n_assets, dtype=np.float64)[days] - 1))
    ratio = np.var(rank_ic[days], ddof=1) / floor
    freedom = int(days.sum()) - 1
    return bool(ratio * SUSPICIOUS_RATIO**2 < 1 and stats.chi2.cdf(ratio * freedom, freedom) < SUSPICIOUS_CHANCE)


def yearly_prediction(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, dates: DateArray) -> pd.DataFrame:
    """Returns the coefficients of each calendar year, one row a year; NaN where undefined.

    Raises:
        ValueError: Shapes differ, or there are not as many dates as days.
    """
    if len(dates) != len(mean):
        raise ValueError(f"prediction: {len(dates)} dates for {len(mean)} days; pass the dates of the forecast")
    frame = pd.DataFrame({"ic": daily_ic(mean, label, mask), "rank_ic": daily_rank_ic(mean, label, mask)})
    years = pd.Index(dates.astype("datetime64[Y]").astype(np.int64) + 1970, name="year")
    rows = {year: _year(days["ic"].to_numpy(), days["rank_ic"].to_numpy()) for year, days in frame.groupby(years)}
    return _table(rows, "year")


def quantile_returns(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, n_quantiles: int = 5) -> FloatArray:
    """Returns the mean label of each forecast quantile and day, ``[T, Q]``, lowest forecasts first.

    Equal forecasts share a quantile. NaN where a quantile is empty; a day with fewer cells than quantiles is all NaN.
    """
    counted = counted_cells(mean, label, mask)
    classes = quantile_classes(np.where(counted, mean, np.nan), n_quantiles)
    known = np.where(counted, label, 0.0)
    enough = counted.sum(axis=1) >= n_quantiles
    columns = [_class_mean(known, (classes == k) & enough[:, None]) for k in range(n_quantiles)]
    return np.stack(columns, axis=1)


def quantile_spread(mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, n_quantiles: int = 5) -> FloatArray:
    """Returns the mean label of the highest less that of the lowest forecast quantile, ``[T]``; NaN where undefined."""
    returns = quantile_returns(mean, label, mask, n_quantiles)
    spread: FloatArray = returns[:, -1] - returns[:, 0]
    return spread


def rank_ic_decay(
    mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, lags: Sequence[int] = (0, 1, 2, 3, 5, 10, 20)
) -> pd.DataFrame:
    """Returns ``rank_ic``, ``rank_ic_t`` and ``n_days`` of the forecast of day t against the label of day t + lag."""
    rows = {}
    for lag in lags:
        stop = max(len(mean) - lag, 0)
        rows[lag] = _coefficient(daily_rank_ic(mean[:stop], label[lag:], mask[:stop]), horizon=1)
    return _table(rows, "lag")


def rank_ic_by_horizon(mean: AnyFloatArray, labels: Mapping[int, AnyFloatArray], mask: BoolArray) -> pd.DataFrame:
    """Returns ``rank_ic``, ``rank_ic_t`` and ``n_days`` of one forecast against the labels of several horizons."""
    rows = {
        horizon: _coefficient(daily_rank_ic(mean, label, mask), horizon) for horizon, label in sorted(labels.items())
    }
    return _table(rows, "horizon")


def _daily(
    mean: AnyFloatArray, label: AnyFloatArray, mask: BoolArray, view: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    counted = counted_cells(mean, label, mask)
    result = np.full(len(mean), np.nan)
    for start in range(0, len(mean), BLOCK):
        rows = slice(start, start + BLOCK)
        x, y = (np.where(counted[rows], array[rows], np.nan).astype(np.float64) for array in (mean, label))
        result[rows] = _correlation(view(x), view(y), counted[rows])
    return result


def _identity(values: FloatArray) -> FloatArray:
    return values


def _ranks(values: FloatArray) -> FloatArray:
    return average_ranks(values)[0]


def _correlation(x: FloatArray, y: FloatArray, counted: BoolArray) -> FloatArray:
    """Pearson correlation of each row over the counted cells; NaN where too few or one side is constant."""
    count = counted.sum(axis=1)
    x, varies_x = _standardised(x, counted, count)
    y, varies_y = _standardised(y, counted, count)
    defined = (count >= MIN_ASSETS) & varies_x & varies_y
    result: FloatArray = np.where(defined, np.clip((x * y).sum(axis=1), -1, 1), np.nan)
    return result


def _standardised(values: FloatArray, counted: BoolArray, count: AnyFloatArray) -> tuple[FloatArray, BoolArray]:
    """Rows of zero mean and unit length, 0 where not counted, and whether a row varies at all."""
    filled = np.where(counted, values, 0.0)
    centred = np.where(counted, filled - (filled.sum(axis=1) / np.maximum(count, 1))[:, None], 0.0)
    highest = np.where(counted, values, -np.inf).max(axis=1, initial=-np.inf)
    lowest = np.where(counted, values, np.inf).min(axis=1, initial=np.inf)
    varies = highest > lowest  # exact: a mean of equal values may differ from them by rounding
    scale = np.where(varies, np.abs(centred).max(axis=1, initial=0.0), 1.0)[:, None]
    centred /= scale  # squares of tiny or huge values stay representable
    length = np.where(varies, np.sqrt(np.square(centred).sum(axis=1)), 1.0)[:, None]
    return centred / length, varies


def _class_mean(known: FloatArray, member: BoolArray) -> FloatArray:
    count = member.sum(axis=1)
    total = np.where(member, known, 0.0).sum(axis=1)
    mean: FloatArray = np.divide(total, count, out=np.full(len(known), np.nan), where=count > 0)
    return mean


def _mean(series: FloatArray) -> float | None:
    days = np.isfinite(series)
    return float(series[days].mean()) if days.any() else None


def _information_ratio(series: FloatArray) -> float | None:
    known = series[np.isfinite(series)]
    if len(known) < 2 or (spread := known.std(ddof=1)) <= ROUNDING:
        return None
    return float(known.mean() / spread)


def _coefficient(rank_ic: FloatArray, horizon: int) -> dict[str, float | None]:
    known = rank_ic[np.isfinite(rank_ic)]
    return {"rank_ic": _mean(known), "rank_ic_t": newey_west_t(known, horizon), "n_days": len(known)}


def _year(ic: FloatArray, rank_ic: FloatArray) -> dict[str, float | None]:
    ratios = {"ic": _mean(ic), "icir": _information_ratio(ic), "rank_icir": _information_ratio(rank_ic)}
    return ratios | _coefficient(rank_ic, horizon=1)


def _table(rows: Mapping[int, Mapping[str, float | None]], index: str) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(dict(rows), orient="index").rename_axis(index)
    return frame.astype(np.float64).astype({"n_days": np.int64})
