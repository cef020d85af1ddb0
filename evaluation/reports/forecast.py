"""A forecast beside what came true: figures of a forecast and of the codes behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from evaluation.formats import position_name
from evaluation.performance import DAYS_PER_YEAR
from evaluation.prediction import daily_rank_ic, prediction_metrics, quantile_returns
from evaluation.reports.html import styled
from market.arrays import AnyFloatArray, BoolArray, CodeArray, DateArray, FloatArray

ACCENT, SECOND = "#2f74c0", "#c8553d"
ROLLING = 63
QUANTILES = 5


@dataclass(frozen=True, eq=False)
class ForecastEvaluation:
    """A forecast and what came true, day by day.

    Attributes:
        dates: ``[T]``.
        mean: ``[T, N]`` forecast; NaN where there is none.
        label: ``[T, N]`` what came true; NaN where unknown.
        mask: ``[T, N]`` where the forecast is to be evaluated.
        parts: Rows of ``valid`` and ``test``.
        horizon: Days that a label spans.
        codes: ``[T, N, K]`` codes of the quantiser, None where there is none.
        n_codes: Size of the codebooks, None where it is not known.
    """

    dates: DateArray
    mean: AnyFloatArray
    label: AnyFloatArray
    mask: BoolArray
    parts: Mapping[str, slice]
    horizon: int = 1
    codes: CodeArray | None = None
    n_codes: int | None = None

    def metrics(self, seed: int = 0) -> dict[str, Any]:
        """Returns the prediction measures of each part and, of the codes on test days, ``codebooks``."""
        found: dict[str, Any] = {
            name: prediction_metrics(self.mean[rows], self.label[rows], self.mask[rows], self.horizon, seed)
            for name, rows in self.parts.items()
        }
        if self.codes is not None:
            counts = self.code_counts()
            found["codebooks"] = {f"code_{k}": _health(count) for k, count in enumerate(counts)}
        return found

    def code_counts(self) -> list[FloatArray]:
        """Returns how often each code was used on the test days, one array a slot; empty without codes."""
        if self.codes is None:
            return []
        rows = self.parts["test"]
        used, known = self.codes[rows], self.mask[rows]
        size = self.n_codes or int(used.max(initial=0)) + 1
        slots = (used[..., k][known & (used[..., k] >= 0)] for k in range(used.shape[2]))
        return [np.bincount(slot, minlength=size).astype(np.float64) for slot in slots]


def ic_figure(forecast: ForecastEvaluation) -> go.Figure:
    """Returns the mean RankIC of the last quarter, day by day, valid and test in two colours."""
    figure = go.Figure()
    for name, colour in (("valid", SECOND), ("test", ACCENT)):
        rows = forecast.parts[name]
        daily = daily_rank_ic(forecast.mean[rows], forecast.label[rows], forecast.mask[rows])
        days = forecast.dates[rows].astype(str).tolist()
        figure.add_scatter(
            x=days,
            y=pd.Series(daily).rolling(ROLLING, min_periods=ROLLING // 2).mean().round(4),
            name=f"{name}, mean of {ROLLING} days",
            line={"color": colour, "width": 2},
            hovertemplate="%{x}: %{y:.3f}<extra></extra>",
        )
    styled(figure, 320)
    figure.update_yaxes(title="RankIC", zeroline=True, zerolinewidth=1)
    return figure


def quantiles_figure(forecast: ForecastEvaluation) -> go.Figure:
    """Returns what the assets of each forecast quantile earned over the average asset on test days, a year."""
    rows = forecast.parts["test"]
    count = min(QUANTILES, forecast.mean.shape[1])
    returns = quantile_returns(forecast.mean[rows], forecast.label[rows], forecast.mask[rows], count)
    returns = returns[np.isfinite(returns).all(axis=1)]
    excess = returns - returns.mean(axis=1, keepdims=True) if len(returns) else np.zeros((1, count))
    yearly = excess.mean(axis=0) * DAYS_PER_YEAR / forecast.horizon
    spread = excess.std(axis=0, ddof=1) if len(excess) > 1 else np.zeros(count)
    error = 1.96 * spread / np.sqrt(len(excess)) * DAYS_PER_YEAR / forecast.horizon
    bars = go.Bar(
        x=[_quantile_name(k, count) for k in range(count)],
        y=np.round(yearly, 4),
        error_y={"array": np.round(error, 4), "color": "#8a929c", "thickness": 1.2},
        marker={"color": ACCENT},
        hovertemplate="%{x}: %{y:.1%} a year<extra></extra>",
    )
    figure = styled(go.Figure(bars), 320)
    figure.update_yaxes(title="a year, over the average", tickformat=".0%", zeroline=True)
    figure.update_xaxes(type="category")
    return figure


def codes_figure(forecast: ForecastEvaluation) -> go.Figure:
    """Returns the share of the test days' tokens that each code took, most used first, one line a slot."""
    figure = go.Figure()
    counts = forecast.code_counts()
    for k, count in enumerate(counts):
        share = np.sort(count / max(count.sum(), 1))[::-1]
        figure.add_scatter(
            x=np.arange(1, len(share) + 1),
            y=np.round(share, 5),
            name=position_name(k, len(counts)),
            line={"shape": "hv", "width": 1.6},
            hovertemplate="code of rank %{x}: %{y:.2%}<extra></extra>",
        )
    styled(figure, 300)
    figure.update_xaxes(title="codes, most used first")
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero")
    return figure


def _health(count: FloatArray) -> dict[str, float | int]:
    share = count[count > 0] / max(count.sum(), 1)
    return {
        "perplexity": float(np.exp(-(share * np.log(share)).sum())) if count.any() else 0.0,
        "usage": float((count > 0).mean()) if len(count) else 0.0,
        "dead_codes": int((count == 0).sum()),
    }


def _quantile_name(k: int, count: int) -> str:
    return "lowest forecasts" if k == 0 else "highest forecasts" if k == count - 1 else str(k + 1)
