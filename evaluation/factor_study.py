"""A study of discovered factors: what the models say of every day, and what that is worth in numbers.

Numbers that a model could have learnt by heart are those of the test days; what is estimated on the way (signs, axes,
regressions, the units of returns) comes from the train days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from evaluation.factors import (
    Match,
    Sample,
    canonical_correlations,
    congruence,
    correlation_distance,
    correlation_matrix,
    explained_variance,
    mapped_correlations,
    match_factors,
    moments,
    reconstruction,
    regression,
    rotation,
)
from market.arrays import DateArray, FloatArray

PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class ReferenceFactors:
    """Factors to compare with, on the days of the study: names, ``[T, J]``, and ``[N, J]`` loadings if known."""

    names: tuple[str, ...]
    factors: FloatArray
    loadings: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model of the study.

    Attributes:
        name: Its name.
        factors: ``[T, K]`` of every day; NaN before the first whole look-back.
        loadings: ``[N, K]`` mean over the test days.
        rebuilt: ``[T, N]`` returns as the factors explain them; NaN where unknown.
        drawn: ``[S, N]`` simulated returns.
        history: One entry an epoch: ``epoch``, ``train`` (losses), ``valid`` (measures).
        rank_ic: Of its forecast on test days, and its interval.
        given: What it is given besides the returns, in words; empty where nothing.
    """

    name: str
    factors: FloatArray
    loadings: FloatArray
    rebuilt: FloatArray
    drawn: FloatArray
    history: Sequence[Mapping[str, Any]] = ()
    rank_ic: tuple[float | None, tuple[float, float] | None] = (None, None)
    given: str = ""


@dataclass(frozen=True, eq=False)
class FactorStudy:
    """Everything that the page shows.

    Attributes:
        title: Heading.
        lead: One line below it.
        facts: Names and texts of where the data come from and how they were divided.
        dates: ``[T]``.
        assets: N names.
        returns: ``[T, N]`` returns; NaN where unknown.
        parts: Rows of ``train``, ``valid`` and ``test``.
        models: At least one; the first is the one the others are measured by.
        known: Factors to compare with, None where there are none.
        threshold: Absolute correlation from which on a known factor counts as found.
        config: The configuration as text.
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    dates: DateArray
    assets: tuple[str, ...]
    returns: FloatArray
    parts: Mapping[str, slice]
    models: tuple[ModelResult, ...]
    known: ReferenceFactors | None = None
    threshold: float = 0.8
    config: str = field(default="", repr=False)

    @cached_property
    def units(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each asset over the train days; NaN and one where it never moved."""
        seen = self.returns[self.parts["train"]]
        known = np.isfinite(seen)
        count = known.sum(axis=0)
        mean = np.where(count > 0, np.where(known, seen, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
        spread = np.sqrt(np.where(known, np.square(seen - mean), 0).sum(axis=0) / np.maximum(count, 1))
        return mean, np.where(spread > 0, spread, 1.0)

    def standard(self, returns: FloatArray) -> FloatArray:
        """Returns ``[..., N]`` in standard deviations from the mean of the train days."""
        mean, spread = self.units
        scaled: FloatArray = (returns - mean) / spread
        return scaled

    def match(self, model: ModelResult, part: str = "test") -> Match:
        """Returns which factors of a model stand for the known ones, paired and turned on the days of a part."""
        assert self.known is not None
        rows = self.parts[part]
        return match_factors(model.factors[rows], self.known.factors[rows])


def portfolio(returns: FloatArray) -> FloatArray:
    """Returns the equally weighted mean ``[T]`` of the assets that are known each day; NaN where none is."""
    known = np.isfinite(returns)
    total = np.where(known, returns, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def measured(study: FactorStudy) -> dict[str, Any]:
    """Returns the content of ``metrics.json``; undefined numbers are None.

    * ``models``: by name, ``matching`` (`_matching`; None without known factors), ``explained`` (shares of the
      variance of test returns by each factor alone and by all, regressions fitted on train), ``reconstruction`` (share
      of variance rebuilt, by part; ``over_first`` is the test share less that of the first model), ``scenarios``
      (`_simulated`), ``rank_ic`` and ``rank_ic_ci`` of its forecast on test days.
    * ``history``: the same statistics of the true returns of train and test, and how far the correlations of the two
      are from each other.
    """
    truth = {part: correlation_matrix(study.returns[study.parts[part]]) for part in ("train", "test")}
    models = {model.name: _model(study, model, truth) for model in study.models}
    first = models[study.models[0].name]["reconstruction"]["test"]
    for one in models.values():
        own = one["reconstruction"]
        own["over_first"] = None if own["test"] is None or first is None else own["test"] - first
    return {
        "known": None if study.known is None else list(study.known.names),
        "threshold": study.threshold,
        "days": {part: [str(day) for day in study.dates[rows][[0, -1]]] for part, rows in study.parts.items()},
        "n_assets": len(study.assets),
        "models": models,
        "history": {part: _plain(_tails(study.returns[study.parts[part]])) for part in ("train", "test")}
        | {"correlation_distance": _plain(correlation_distance(truth["train"], truth["test"]))},
    }


def _model(study: FactorStudy, model: ModelResult, truth: Mapping[str, FloatArray]) -> dict[str, Any]:
    train, test = study.parts["train"], study.parts["test"]
    standard, rebuilt = study.standard(study.returns), study.standard(model.rebuilt)
    explained = explained_variance(
        Sample(model.factors[train], standard[train]), Sample(model.factors[test], standard[test])
    )
    found = {part: reconstruction(standard[study.parts[part]], rebuilt[study.parts[part]]) for part in PARTS}
    rank_ic, interval = model.rank_ic
    return _plain(  # type: ignore[no-any-return]
        {
            "n_factors": model.factors.shape[1],
            "given": model.given,
            "matching": None if study.known is None else _matching(study, model, study.known),
            "explained": {"each": explained.each, "together": explained.together},
            "reconstruction": {part: one.share for part, one in found.items()},
            "reconstruction_error": {part: one.error for part, one in found.items()},
            "scenarios": _simulated(model, truth),
            "rank_ic": rank_ic,
            "rank_ic_ci": interval,
        }
    )


def _matching(study: FactorStudy, model: ModelResult, known: ReferenceFactors) -> dict[str, Any]:
    """How well known factors were found, on test days; ``found`` counts those at the threshold or above.

    ``direct`` forgives order and sign; ``rotated`` also the axes and ``regressed`` any linear map, both of them
    estimated on train; ``canonical`` is what the two sets of factors share at all, in any basis of either.
    """
    train, test = study.parts["train"], study.parts["test"]
    match = study.match(model)
    learnt, truth = model.factors, known.factors
    turned = rotation(learnt[train], truth[train])
    mapped = regression(learnt[train], truth[train])
    size = np.abs(match.correlation)
    return {
        "direct": match.correlation,
        "found": int((size >= study.threshold).sum()),
        "mean": float(np.nan_to_num(size).mean()),
        "train": np.abs(study.match(model, "train").correlation),
        "rotated": mapped_correlations(learnt[test], truth[test], turned),
        "regressed": mapped_correlations(learnt[test], truth[test], mapped),
        "canonical": canonical_correlations(learnt[test], truth[test]),
        "congruence": None if known.loadings is None else congruence(match.aligned(model.loadings), known.loadings),
    }


def _simulated(model: ModelResult, truth: Mapping[str, FloatArray]) -> dict[str, Any]:
    own = correlation_matrix(model.drawn)
    distances = {part: correlation_distance(own, matrix) for part, matrix in truth.items()}
    return {**_tails(model.drawn), "correlation_distance": distances, "n_days": len(model.drawn)}


def _tails(returns: FloatArray) -> dict[str, Any]:
    """Moments and tails of the equally weighted portfolio, the median of each over single assets, and correlations."""
    assets = [moments(returns[:, n]) for n in range(returns.shape[1])]
    upper = np.triu_indices(returns.shape[1], 1)
    pairs = correlation_matrix(returns)[upper]
    return {
        "portfolio": moments(portfolio(returns)),
        "asset": {name: float(np.nanmedian([one[name] for one in assets])) for name in assets[0]},
        "mean_correlation": float(np.nanmean(pairs)) if np.isfinite(pairs).any() else float("nan"),
    }


def _plain(value: Any) -> Any:
    """The value as JSON holds it: lists for arrays and tuples, None for what is not finite."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
