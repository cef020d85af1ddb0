"""Discovered factors, evaluated: against known ones, by what they explain, and by the days a model invents.

Shapes: `T` days, `N` assets, `K` learnt factors, `J` known ones. NaN policy: a day counts for a comparison of factors
where all of them are known; a return counts for its asset where it is known; too few of them give NaN, never an error.

No factor has a sign of its own, and normal factors have no axes of their own either: every function says what it
forgives. `match_factors` forgives order and sign, `rotation` also the choice of axes, `regression` whatever is linear.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from market.arrays import AnyFloatArray, FloatArray, IntArray

COLLAPSED = 1e-8
"""Share of the largest variance below which a direction of the factors counts as absent."""


class Match(NamedTuple):
    """Which learnt factor stands for each known one.

    Attributes:
        matrix: ``[K, J]`` correlation of every learnt factor with every known one.
        order: ``[J]`` the learnt factor of each known one, -1 where there are too few.
        correlation: ``[J]`` its correlation, with the sign by which it must be turned; NaN where there is none.
    """

    matrix: FloatArray
    order: IntArray
    correlation: FloatArray

    def aligned(self, learnt: AnyFloatArray) -> FloatArray:
        """Returns learnt factors or loadings, ``[..., K]``, in the order and sign of the known ones, ``[..., J]``."""
        turned = learnt[..., self.order] * np.where(self.correlation < 0, -1.0, 1.0)
        aligned: FloatArray = np.where(self.order >= 0, turned, np.nan).astype(np.float64)
        return aligned


def match_factors(learnt: AnyFloatArray, known: AnyFloatArray) -> Match:
    """Pairs each known factor with a learnt one of its own, so that the sum of absolute correlations is greatest.

    Args:
        learnt: ``[T, K]``.
        known: ``[T, J]``.

    Reference: Kuhn (1955), The Hungarian method for the assignment problem.
    """
    matrix = correlations(learnt, known)
    rows, columns = linear_sum_assignment(-np.abs(np.nan_to_num(matrix)))
    order = np.full(known.shape[1], -1, dtype=np.int64)
    order[columns] = rows
    correlation = np.full(known.shape[1], np.nan)
    correlation[columns] = matrix[rows, columns]
    return Match(matrix, order, correlation)


def correlations(one: AnyFloatArray, other: AnyFloatArray) -> FloatArray:
    """Returns the correlation of each column of `one` ``[T, K]`` and of `other` ``[T, J]``; NaN if one is constant."""
    left, right = _known_together(one, other)
    left, right = _unit(left), _unit(right)
    found: FloatArray = left.T @ right
    return found


def rotation(learnt: AnyFloatArray, known: AnyFloatArray) -> FloatArray:
    """Returns the map ``[K, J]`` that whitens learnt factors and turns them as near to the known ones as turning goes.

    What a method found up to the choice of axes is found after it. Directions in which learnt factors hardly move are
    left out. Estimate it on other days than those it is evaluated on.

    Reference: Schönemann (1966), A generalized solution of the orthogonal Procrustes problem.
    """
    left, right = _known_together(learnt, known)
    white = _whitening(left)
    left = (left - left.mean(axis=0)) @ white
    turned, _, axes = np.linalg.svd(left.T @ _unit(right), full_matrices=False)
    found: FloatArray = white @ turned @ axes
    return found


def regression(learnt: AnyFloatArray, known: AnyFloatArray) -> FloatArray:
    """Returns the coefficients ``[K, J]`` of known factors on learnt ones, with an intercept left out."""
    left, right = _known_together(learnt, known)
    white = _whitening(left)
    left = (left - left.mean(axis=0)) @ white
    found: FloatArray = white @ (left.T @ (right - right.mean(axis=0))) / max(len(left), 1)
    return found


def mapped_correlations(learnt: AnyFloatArray, known: AnyFloatArray, coefficients: FloatArray) -> FloatArray:
    """Returns the correlation ``[J]`` of ``learnt @ coefficients`` with the known factors, one by one."""
    found: FloatArray = np.diag(correlations(learnt @ coefficients, known)).copy()
    return found


def canonical_correlations(learnt: AnyFloatArray, known: AnyFloatArray) -> FloatArray:
    """Returns the canonical correlations ``[min(K, J)]``, decreasing: what the two sets of factors share at all.

    Reference: Hotelling (1936), Relations between two sets of variates.
    """
    left, right = _known_together(learnt, known)
    parts = [(part - part.mean(axis=0)) @ _whitening(part) for part in (left, right)]
    shared = np.linalg.svd(parts[0].T @ parts[1] / max(len(left), 1), compute_uv=False)
    found = np.zeros(min(learnt.shape[1], known.shape[1]))
    found[: len(shared)] = np.clip(shared, 0.0, 1.0)
    return found


def congruence(learnt: AnyFloatArray, true: AnyFloatArray) -> FloatArray:
    """Returns Tucker's coefficient ``[J]`` of aligned loadings ``[N, J]`` with the true ones: the cosine over assets.

    From .95 on two factors count as the same, from .85 on as fairly similar.

    Reference: Lorenzo-Seva and ten Berge (2006), Tucker's congruence coefficient as a meaningful index of similarity.
    """
    product = np.nansum(learnt * true, axis=0)
    size = np.sqrt(np.nansum(np.square(learnt), axis=0) * np.nansum(np.square(true), axis=0))
    found: FloatArray = np.divide(product, size, out=np.full(product.shape, np.nan), where=size > 0)
    return found


class Sample(NamedTuple):
    """Factors ``[T, K]`` and returns ``[T, N]`` of the same days."""

    factors: AnyFloatArray
    returns: AnyFloatArray


class ExplainedVariance(NamedTuple):
    """Shares of the variance of returns: by each factor alone, ``[K]``, and by all of them together."""

    each: FloatArray
    together: float


def explained_variance(fit: Sample, evaluated: Sample) -> ExplainedVariance:
    """Returns what a regression of each asset on factors, fitted on some days, explains on others.

    The share is one less the squared error over that of the mean of the fitted days, pooled over assets and days. On
    the days of the fit principal components have the shares of their eigenvalues.
    """
    K = fit.factors.shape[1]
    each = np.array([_explained(fit, evaluated, slice(k, k + 1)) for k in range(K)])
    return ExplainedVariance(each, _explained(fit, evaluated, slice(None)))


class Reconstruction(NamedTuple):
    """How well days were rebuilt: share of variance in all and by asset ``[N]``, and mean squared error."""

    share: float
    by_asset: FloatArray
    error: float


def reconstruction(standard: AnyFloatArray, rebuilt: AnyFloatArray) -> Reconstruction:
    """Compares rebuilt returns with the true ones, both ``[T, N]`` and in standard deviations from the train mean.

    The share is one less the squared error over that of the train mean, which is zero.
    """
    known = np.isfinite(standard) & np.isfinite(rebuilt)
    error = np.where(known, np.square(standard - rebuilt), 0.0)
    total = np.where(known, np.square(standard), 0.0)
    by_asset = 1 - _ratio(error.sum(axis=0), total.sum(axis=0))
    count = known.sum()
    return Reconstruction(
        share=float(1 - _ratio(error.sum(), total.sum())),
        by_asset=by_asset,
        error=float(_ratio(error.sum(), np.float64(count))),
    )


def moments(returns: AnyFloatArray) -> dict[str, float]:
    """Returns moments, quantiles and tail measures of a series ``[T]``; NaN days do not count.

    ``kurtosis`` is the excess over a normal's. ``var_95`` and ``var_99`` are losses as positive numbers that are
    exceeded on 5 % and 1 % of days; ``es_99`` is the mean loss of the worst 1 %, historical, at least one day.
    """
    from scipy import stats  # slow to import

    known = np.sort(returns[np.isfinite(returns)].astype(np.float64))
    names = ("mean", "std", "skew", "kurtosis", "q01", "q05", "q50", "q95", "q99", "var_95", "var_99", "es_99")
    if len(known) < 4 or known[0] == known[-1]:
        return dict.fromkeys(names, float("nan"))
    q01, q05, q50, q95, q99 = np.quantile(known, (0.01, 0.05, 0.5, 0.95, 0.99))
    worst = known[: max(1, int(0.01 * len(known)))]
    values = (known.mean(), known.std(ddof=1), stats.skew(known), stats.kurtosis(known), q01, q05, q50, q95, q99)
    return dict(zip(names, map(float, (*values, -q05, -q01, -worst.mean())), strict=True))


def correlation_matrix(returns: AnyFloatArray) -> FloatArray:
    """Returns the correlations ``[N, N]`` of returns ``[T, N]``, each pair over the days on which both are known."""
    known = np.isfinite(returns)
    x, m = np.where(known, returns, 0.0), known.astype(np.float64)
    count = m.T @ m
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (x.T @ m) / count  # [i, j]: of i over the days on which j is known too
        product = (x.T @ x) / count - mean * mean.T
        square = (np.square(x).T @ m) / count - np.square(mean)
        found: FloatArray = product / np.sqrt(square * square.T)
    return np.where(count > 2, found, np.nan)


def correlation_distance(one: FloatArray, other: FloatArray) -> float:
    """Returns the root mean squared difference of two correlation matrices ``[N, N]`` over the pairs known in both."""
    upper = np.triu_indices(len(one), 1)
    difference = one[upper] - other[upper]
    known = difference[np.isfinite(difference)]
    return float(np.sqrt(np.mean(np.square(known)))) if len(known) else float("nan")


def _explained(fit: Sample, evaluated: Sample, which: slice) -> float:
    error = total = 0.0
    for n in range(fit.returns.shape[1]):
        x, y = _known_together(fit.factors[:, which], fit.returns[:, n : n + 1])
        u, v = _known_together(evaluated.factors[:, which], evaluated.returns[:, n : n + 1])
        if len(x) <= x.shape[1] + 1:
            continue
        slope = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=None)[0]
        expected = y.mean(axis=0) + (u - x.mean(axis=0)) @ slope
        error += float(np.square(v - expected).sum())
        total += float(np.square(v - y.mean(axis=0)).sum())
    return 1 - error / total if total > 0 else float("nan")


def _known_together(one: AnyFloatArray, other: AnyFloatArray) -> tuple[FloatArray, FloatArray]:
    known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return one[known].astype(np.float64), other[known].astype(np.float64)


def _unit(columns: FloatArray) -> FloatArray:
    """Columns without their mean, of length one; NaN where one is constant, and where there are no days."""
    if not len(columns):
        return np.full((1, columns.shape[1]), np.nan)
    centred = columns - columns.mean(axis=0)
    size = np.sqrt(np.square(centred).sum(axis=0))
    resting = size <= 1e-12 * np.maximum(np.abs(columns).max(axis=0), 1e-300) * np.sqrt(len(columns))
    unit: FloatArray = centred / np.where(resting, np.nan, size)
    return unit


def _whitening(columns: FloatArray) -> FloatArray:
    """Map ``[K, r]`` to uncorrelated columns of unit variance."""
    if len(columns) < 2:
        return np.zeros((columns.shape[1], 1))
    variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(columns.T, bias=True)))
    kept = variance > COLLAPSED * max(float(variance[-1]), 1e-300)
    found: FloatArray = axes[:, kept] / np.sqrt(variance[kept])
    return found


def _ratio(part: FloatArray | np.float64, whole: FloatArray | np.float64) -> FloatArray:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    found: FloatArray = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return found
