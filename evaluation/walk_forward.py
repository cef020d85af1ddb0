"""The worth of refitting: forecasts of a walk by fold, stitched, by the age of the fit, and against one fit."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from evaluation.bootstrap import bootstrap_interval
from evaluation.formats import number, with_interval
from evaluation.prediction import daily_rank_ic, prediction_metrics
from evaluation.reports.html import Page, styled, table
from evaluation.significance import compare
from market.arrays import AnyFloatArray, BoolArray, DateArray, FloatArray

AGE_DAYS = 63
"""Width of a class of ages of a fit, in trading days: a quarter."""


@dataclass(frozen=True, eq=False)
class FittedForecast:
    """One fit of a walk: what it forecast, and the days that it served.

    Attributes:
        fit_end: Row of the last day that it learnt from.
        serves: Rows that it served.
        mean: ``[T, N]`` its forecasts, of later days too; NaN where there are none.
        mask: ``[T, N]``, true where there is a forecast.
        valid: Mean daily RankIC on its valid days, as its run measured it.
    """

    fit_end: int
    serves: slice
    mean: AnyFloatArray
    mask: BoolArray
    valid: float | None


def walk_metrics(
    fits: Sequence[FittedForecast], returns: FloatArray, dates: DateArray, horizon: int, seed: int = 0
) -> dict[str, Any]:
    """Returns the measures of a walk, as JSON.

    Args:
        fits: In order; each serves the days until the next one does.
        returns: ``[T, N]`` returns that were forecast, NaN where unknown.
        dates: ``[T]``.
        horizon: Days of a return.
        seed: Of the bootstrap.

    Returns:
        ``folds`` (RankIC on valid and on the days served, one entry a fit), ``stitched`` (all days served, with
        interval), ``by_age`` (RankIC by the age of the fit, over all fits and all later days), and ``refitting``:
        stitched less the first fit alone on the days that later fits served, paired day by day; None with one fit.
    """
    daily = [_daily(one, returns) for one in fits]
    start, stop = fits[0].serves.start, fits[-1].serves.stop
    stitched = np.concatenate([series[one.serves] for series, one in zip(daily, fits, strict=True)])
    mean, mask = (np.concatenate([getattr(one, name)[one.serves] for one in fits]) for name in ("mean", "mask"))
    served = slice(start, stop)
    return {
        "days": [str(dates[start]), str(dates[stop - 1])],
        "folds": [_fold(k, one, series, dates) for k, (one, series) in enumerate(zip(fits, daily, strict=True))],
        "stitched": prediction_metrics(mean, returns[served], mask, horizon=horizon),
        "series": _series(stitched, dates[served]),
        "by_age": _by_age(fits, daily, seed, horizon),
        "refitting": _refitting(fits, daily, stitched, seed, horizon),
    }


def walk_page(title: str, metrics: Mapping[str, Any], facts: Sequence[tuple[str, str]], config: str) -> str:
    """Returns the page of a walk; it loads nothing from a network."""
    page = Page(title, "An encoder refitted on a calendar; every day is forecast by a fit that had not seen it")
    sentences = "".join(f"<li>{html.escape(words)}</li>" for words in walk_sentences(metrics))
    page.markup(f'<div class="verdict"><ul>{sentences}</ul></div>')
    page.heading("Folds")
    rows = [
        [
            str(one["fold"]),
            one["fit_end"],
            " to ".join(one["serves"]),
            number(one["valid"], 4),
            number(one["served"], 4),
        ]
        for one in metrics["folds"]
    ]
    page.markup(table(["fold", "learnt until", "served", "rank IC, valid", "rank IC, served"], rows))
    page.heading("Rank IC added up over the days served")
    page.figure(_growth(metrics["series"]))
    page.heading("Rank IC by the age of the fit")
    page.text(
        "All fits, on all days after they had been fitted. Age is in trading days since the last day learnt.", True
    )
    ages = [
        [f"{one['from']} to {one['to']}", str(one["days"]), with_interval(one["rank_ic"], one["ci"], 4)]
        for one in metrics["by_age"]
    ]
    page.markup(table(["age", "days", "rank IC"], ages))
    page.heading("Data and configuration")
    page.facts(facts)
    page.folded("full configuration", config)
    return page.source()


def walk_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """Returns what a walk found, in words."""
    whole, gain = metrics["stitched"], metrics["refitting"]
    found = [
        f"Out of sample from {metrics['days'][0]} to {metrics['days'][1]}: mean daily rank IC "
        f"{with_interval(whole['rank_ic'], whole['rank_ic_ci'], 4)} with {len(metrics['folds'])} fits."
    ]
    if gain is not None:
        stands = "is not distinguished from none"
        if gain["ci"] is not None and not gain["ci"][0] <= 0 <= gain["ci"][1]:
            stands = "is a gain" if gain["difference"] > 0 else "is a loss"
        found.append(
            f"Refitting against the first fit alone, on the {gain['days']:,} days that later fits served: "
            f"{number(gain['refitted'], 4)} and {number(gain['first'], 4)}; the difference "
            f"{with_interval(gain['difference'], gain['ci'], 4)} {stands}."
        )
    return found


def _daily(one: FittedForecast, returns: FloatArray) -> FloatArray:
    """Returns the daily RankIC of a fit ``[T]``, NaN on days that it learnt from."""
    daily = np.full(len(returns), np.nan)
    later = slice(one.fit_end + 1, None)
    daily[later] = daily_rank_ic(one.mean[later], returns[later], one.mask[later])
    return daily


def _fold(number_: int, one: FittedForecast, daily: FloatArray, dates: DateArray) -> dict[str, Any]:
    served = daily[one.serves]
    known = served[np.isfinite(served)]
    return {
        "fold": number_,
        "fit_end": str(dates[one.fit_end]),
        "serves": [str(dates[one.serves.start]), str(dates[one.serves.stop - 1])],
        "valid": one.valid,
        "served": float(known.mean()) if len(known) else None,
        "n_days": len(known),
    }


def _series(daily: FloatArray, dates: DateArray) -> dict[str, list[Any]]:
    known = np.isfinite(daily)
    return {"dates": dates[known].astype(str).tolist(), "rank_ic": daily[known].tolist()}


def _by_age(
    fits: Sequence[FittedForecast], daily: Sequence[FloatArray], seed: int, horizon: int
) -> list[dict[str, Any]]:
    ages = np.concatenate([np.arange(len(series)) - one.fit_end for one, series in zip(fits, daily, strict=True)])
    values = np.concatenate(daily)
    known = np.isfinite(values)
    rows = []
    for first in range(1, int(ages[known].max(initial=0)) + 1, AGE_DAYS):
        own = values[known & (ages >= first) & (ages < first + AGE_DAYS)]
        if not len(own):
            continue
        interval = bootstrap_interval(_mean, own, min_block=horizon, seed=seed)
        rows.append(
            {"from": first, "to": first + AGE_DAYS - 1, "days": len(own), "rank_ic": float(own.mean()), "ci": interval}
        )
    return rows


def _refitting(
    fits: Sequence[FittedForecast], daily: Sequence[FloatArray], stitched: FloatArray, seed: int, horizon: int
) -> dict[str, Any] | None:
    if len(fits) < 2:
        return None
    start, later = fits[0].serves.start, fits[1].serves.start
    first = daily[0][later : start + len(stitched)]
    refitted = stitched[later - start :]
    both = np.isfinite(first) & np.isfinite(refitted)
    if not both.any():
        return None
    found = compare(refitted[both], first[both], _mean, min_block=horizon, seed=seed)
    return {
        "refitted": float(refitted[both].mean()),
        "first": float(first[both].mean()),
        "difference": found.difference,
        "ci": found.interval,
        "p_value": found.p_value,
        "days": int(both.sum()),
    }


def _growth(series: Mapping[str, Any]) -> go.Figure:
    path = np.cumsum(series["rank_ic"]).round(4)
    return styled(go.Figure(go.Scatter(x=series["dates"], y=path, mode="lines", name="stitched")))


def _mean(series: FloatArray) -> float:
    return float(series.mean())
