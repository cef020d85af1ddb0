"""Forecasters side by side: how good the forecasts of several encoders are, and whether they differ from a reference.

Each encoder was trained with one or more seeds on the same question, so two kinds of chance are distinguished: the days
that happened to be drawn (stationary block bootstrap) and the luck of training (Student's t over the seeds). What is
reported of an encoder is the mean over its seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.backtest import Backtest
from evaluation.bootstrap import bootstrap_interval, overlapping_block
from evaluation.performance import annual_return, performance
from evaluation.policy_comparison import equal_capital
from evaluation.prediction import daily_rank_ic, newey_west_t, prediction_metrics
from evaluation.significance import Comparison, compare, intervals, over_seeds
from market.arrays import AnyFloatArray, BoolArray, DateArray, FloatArray

PARTS = ("valid", "test")
COEFFICIENTS = ("ic", "icir", "rank_ic", "rank_icir")
TRADED = ("annual_return", "annual_volatility", "sharpe", "max_drawdown", "turnover", "cost_paid")


@dataclass(frozen=True, eq=False)
class SeedForecast:
    """One training of an encoder: what it forecast, and what came true.

    Attributes:
        name: Of the run.
        dates: ``[T]``.
        mean: ``[T, N]`` forecast; NaN where there is none.
        label: ``[T, N]`` what came true; NaN where unknown.
        mask: ``[T, N]`` where the forecast is to be evaluated.
        parts: Rows of ``valid`` and ``test``.
        paths: What trading on the forecast earned on the test days, by rule.
        codebooks: Measures of the use of each codebook, by name; empty without codes.
    """

    name: str
    dates: DateArray
    mean: AnyFloatArray
    label: AnyFloatArray
    mask: BoolArray
    parts: Mapping[str, slice]
    paths: Mapping[str, Backtest]
    codebooks: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Forecaster:
    """An encoder and its trainings, one a seed.

    Attributes:
        name: Of the encoder.
        seeds: At least one training; all of the same days and assets.
    """

    name: str
    seeds: tuple[SeedForecast, ...]

    def daily_rank_ic(self, part: str, cells: BoolArray | None = None) -> FloatArray:
        """Returns the RankIC of each day of a part, mean over seeds, ``[T]``; NaN where one is undefined.

        Args:
            part: ``valid`` or ``test``.
            cells: ``[T, N]`` over all days, where to evaluate; by default where each seed is to be evaluated.
        """
        each = []
        for one in self.seeds:
            rows = one.parts[part]
            each.append(daily_rank_ic(one.mean[rows], one.label[rows], (one.mask if cells is None else cells)[rows]))
        mean: FloatArray = np.mean(each, axis=0)
        return mean

    @property
    def cells(self) -> BoolArray:
        """``[T, N]``, true where every seed has a forecast that is to be evaluated."""
        found: BoolArray = np.all([one.mask & np.isfinite(one.mean) for one in self.seeds], axis=0)
        return found


def measured(
    forecasters: Sequence[Forecaster],
    reference: str | None,
    horizon: int,
    seed: int = 0,
    beside: Sequence[Backtest] = (),
) -> dict[str, Any]:
    """Returns what ``comparison.json`` says of forecasters on the same question.

    Per encoder: ``n_seeds``; under ``valid`` and ``test`` each of `COEFFICIENTS` as the mean over seeds, with
    ``<name>_seeds_ci``; of ``rank_ic`` also ``rank_ic_ci`` (over days) and ``rank_ic_t``, and ``against``, the paired
    difference from the reference; ``codebooks`` and, by rule, ``trading`` (seeds as one account of equal parts), with
    ``beyond``, the paired difference of the annual return from each of `beside`. Those stand under ``references``.

    Args:
        forecasters: Who is compared.
        reference: Name of one of them, with which the others are paired; None for no pairing.
        horizon: Days that a label spans; labels that overlap are not independent, and intervals account for it.
        seed: Of every bootstrap.
        beside: What holding the same assets, or an index, earned on the test days without any forecast.
    """
    by_name = {one.name: one for one in forecasters}
    base = None if reference is None else by_name[reference]
    found = {}
    for one in forecasters:
        rival = base if base is not one else None
        found[one.name] = {
            "n_seeds": len(one.seeds),
            **{part: _forecast(one, part, rival, horizon, seed) for part in PARTS},
            "codebooks": _codebooks(one),
            "trading": {rule: _trading(one, rule, rival, seed, beside) for rule in one.seeds[0].paths},
        }
    held = {one.name: _account(one, seed) for one in beside}
    return {"reference": reference, "horizon": horizon, "encoders": found, "references": held}


def paired(own: Forecaster, other: Forecaster, part: str, horizon: int = 1, seed: int = 0) -> Comparison:
    """Returns the difference of the mean daily RankICs, drawing the same days of both.

    Both count where both have a forecast, so that neither gains from the assets that the other leaves out, and on
    the days on which both are defined.
    """
    cells = own.cells & other.cells
    first, second = own.daily_rank_ic(part, cells), other.daily_rank_ic(part, cells)
    days = np.isfinite(first) & np.isfinite(second)
    return compare(first[days], second[days], np.mean, min_block=overlapping_block(horizon), seed=seed)


def _forecast(one: Forecaster, part: str, rival: Forecaster | None, horizon: int, seed: int) -> dict[str, Any]:
    each = {}
    for run in one.seeds:
        rows = run.parts[part]
        each[run.name] = prediction_metrics(run.mean[rows], run.label[rows], run.mask[rows], horizon, seed)
    daily = one.daily_rank_ic(part)
    known = daily[np.isfinite(daily)]
    found: dict[str, Any] = {}
    for name in COEFFICIENTS:
        joined = over_seeds([run[name] for run in each.values()])
        found |= {name: joined["mean"], f"{name}_seeds_ci": joined["ci"]}
    first = next(iter(each.values()))
    return found | {
        "rank_ic_ci": bootstrap_interval(np.mean, known, min_block=overlapping_block(horizon), seed=seed),
        "rank_ic_t": newey_west_t(known, horizon),
        "n_days": len(known),
        "n_assets": first["n_assets"],
        "suspicious": any(run["suspicious"] for run in each.values()),
        "against": None if rival is None else _as_json(paired(one, rival, part, horizon, seed)),
        "seeds": {name: {key: run[key] for key in COEFFICIENTS} for name, run in each.items()},
    }


def _codebooks(one: Forecaster) -> dict[str, dict[str, Any]]:
    names = one.seeds[0].codebooks
    return {
        name: {key: over_seeds([run.codebooks[name][key] for run in one.seeds])["mean"] for key in measures}
        for name, measures in names.items()
    }


def _trading(
    one: Forecaster, rule: str, rival: Forecaster | None, seed: int, beside: Sequence[Backtest]
) -> dict[str, Any]:
    paths = [run.paths[rule] for run in one.seeds]
    path, each = equal_capital(paths, one.name), [performance(path) for path in paths]
    joined = {name: over_seeds([found[name] for found in each]) for name in TRADED}
    against = None
    if rival is not None:
        other = equal_capital([run.paths[rule] for run in rival.seeds], rival.name)
        against = _as_json(compare(path.returns, other.returns, seed=seed, periods_per_year=path.periods_per_year))
    return {
        **_account(path, seed),
        "beyond": {held.name: _beyond(path, held, seed) for held in beside},
        "mean": {name: found["mean"] for name, found in joined.items()},
        "seeds_ci": {name: found["ci"] for name, found in joined.items()},
        "against": against,
    }


def _account(path: Backtest, seed: int) -> dict[str, Any]:
    whole = performance(path)
    return {
        **{name: whole[name] for name in TRADED},
        **intervals(path.returns, seed=seed, periods_per_year=path.periods_per_year),
        "periods_per_year": path.periods_per_year,
        "n_days": len(path),
    }


def _beyond(path: Backtest, held: Backtest, seed: int) -> dict[str, Any]:
    own, other, periods = path.returns, held.returns, path.periods_per_year
    return _as_json(compare(own, other, annual_return, seed=seed, periods_per_year=periods))


def _as_json(found: Comparison) -> dict[str, Any]:
    return {"difference": found.difference, "ci": found.interval, "p_value": found.p_value}
