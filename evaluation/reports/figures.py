"""Figures of a comparison: wealth and drawdown, holdings, trading, months, costs; a colour means the same in all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evaluation.backtest import Backtest
from evaluation.formats import bar_name, display_name, number
from evaluation.performance import drawdowns, monthly_returns
from evaluation.policy_comparison import PolicyComparison
from evaluation.reports.html import styled
from market.arrays import AnyArray, FloatArray

AGENTS = ("#2f74c0", "#c8553d", "#4f8a5b", "#8a63b3", "#c2569b")
KNOWN = {"buy_and_hold": "#8a929c", "equal_weight": "#d19a2e"}
RULE_LINE = "#7d8c2f"
INDEX, OTHER, CASH = "#3f9b98", "rgba(138,146,156,.45)", "rgba(138,146,156,.15)"
ASSETS = (
    "#2f74c0", "#d19a2e", "#4f8a5b", "#c8553d", "#8a63b3", "#3f9b98", "#b56b8f", "#7d8c2f", "#5a6fb0", "#a9744f",
)  # fmt: skip
ASSETS_DRAWN = len(ASSETS)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DIVERGING: list[tuple[float, str]] = [(0.0, "#b3402e"), (0.5, "#eef0f3"), (1.0, "#2f7d4f")]
TWO_DIGITS = 0.0995
"""Return of a month from which on it is written without decimals, so that it fits a cell on a phone."""
BARS = 260


def colours(comparison: PolicyComparison) -> dict[str, str]:
    """Returns the colour of every policy: agents and references have their own, the others share one."""
    found = {name: KNOWN.get(name, OTHER) for name in comparison.everyone}
    if comparison.index is not None:
        found[comparison.index.name] = INDEX
    if comparison.rule is not None:
        found[comparison.rule] = RULE_LINE
    return found | {name: AGENTS[k % len(AGENTS)] for k, name in enumerate(comparison.agents)}


def wealth_figure(comparison: PolicyComparison) -> go.Figure:
    """Returns wealth (log scale) over drawdown; hindsight is left out, since it would flatten all others."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.06)
    shades, others = colours(comparison), True
    for name, path in reversed(comparison.everyone.items()):
        if path is comparison.bound:
            continue
        named = shades[name] != OTHER
        style: dict[str, Any] = {
            "name": display_name(name) if named else "other policies",
            "legendgroup": name if named else "others",
            "line": {"color": shades[name], "width": 2.2 if name in comparison.agents else 1.4 if named else 0.9},
            "hovertemplate": f"{display_name(name)} %{{x}}: %{{y:.2f}}<extra></extra>",
            "legendrank": list(comparison.everyone).index(name) if named else 2000,
        }
        figure.add_scatter(
            x=_days(path, 1), y=_short(path.wealth), showlegend=named or others, row=1, col=1, mode="lines", **style
        )
        others &= named
        if named:
            style["hovertemplate"] = f"{display_name(name)} %{{x}}: %{{y:.1%}}<extra></extra>"
            below = _short(drawdowns(path.returns))
            figure.add_scatter(x=_days(path, 1), y=below, showlegend=False, row=2, col=1, mode="lines", **style)
    styled(figure, 520)
    figure.update_yaxes(type="log", title="wealth", tickformat=".2~f", row=1, col=1)
    figure.update_yaxes(title="drawdown", tickformat=".0%", row=2, col=1)
    return figure


def weights_figure(path: Backtest) -> go.Figure:
    """Returns what a policy held, as stacked shares of wealth; as a map of signed weights where it sold short.

    Means of a few days each, so that at most `BARS` of them are drawn.
    """
    starts = np.unique(np.linspace(0, len(path), min(len(path), BARS), endpoint=False).astype(np.int64))
    days = path.dates[starts].astype(str).tolist()
    weights = np.add.reduceat(path.weights, starts, axis=0) / np.diff(np.append(starts, len(path)))[:, None]
    own = weights[:, 1:]
    order = np.argsort(-np.abs(own).mean(axis=0), kind="stable")
    if (path.weights < -1e-9).any():
        reach = float(np.abs(own).max())
        heat = go.Heatmap(
            x=days,
            y=[path.assets[n] for n in order],
            z=np.round(own[:, order].T, 3),
            zmin=-reach,
            zmax=reach,
            colorscale=DIVERGING,
            colorbar={"tickformat": ".0%", "thickness": 10},
            hovertemplate="%{y} %{x}: %{z:.1%}<extra></extra>",
        )
        return styled(go.Figure(heat, {"yaxis": {"autorange": "reversed", "type": "category"}}), 420)
    figure = go.Figure()
    shown = order[:ASSETS_DRAWN]
    layers = [(path.assets[n], own[:, n], ASSETS[k]) for k, n in enumerate(shown)]
    if len(order) > len(shown):
        layers.append((f"{len(order) - len(shown)} others", own[:, order[len(shown) :]].sum(axis=1), OTHER))
    for name, weight, colour in [*layers, ("cash", weights[:, 0], CASH)]:
        figure.add_scatter(
            x=days,
            y=np.round(weight, 4),
            name=name,
            stackgroup="wealth",
            mode="lines",
            line={"width": 0, "color": colour},
            fillcolor=colour,
            hovertemplate=f"{name} %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    styled(figure, 420)
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title="share of wealth")
    return figure


def trading_figure(comparison: PolicyComparison) -> go.Figure:
    """Returns turnover (mean of a quarter) over the costs paid so far, of agents and references."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    shades = colours(comparison)
    for name in [*comparison.agents, *(one for one in comparison.references if shades[one] not in (OTHER, INDEX))]:
        path = comparison.everyone[name]
        style: dict[str, Any] = {"name": display_name(name), "legendgroup": name, "line": {"color": shades[name]}}
        rows = ((_short(_quarter(path)), ".1%"), (_short(np.cumsum(path.costs)), ".2%"))
        for row, (series, form) in enumerate(rows, start=1):
            template = f"{display_name(name)} %{{x}}: %{{y:{form}}}<extra></extra>"
            figure.add_scatter(
                x=_days(path), y=series, hovertemplate=template, showlegend=row == 1, row=row, col=1, **style
            )
    styled(figure, 420)
    bar = bar_name(next(iter(comparison.everyone.values())).periods_per_year)
    figure.update_yaxes(
        title=f"turnover a {bar}, mean of a quarter", tickformat=".1%", rangemode="tozero", row=1, col=1
    )
    figure.update_yaxes(title="costs paid so far", tickformat=".1%", rangemode="tozero", row=2, col=1)
    return figure


def months_figure(path: Backtest) -> go.Figure:
    """Returns the return of every month as a map, a row a year, each number in black or white by its cell."""
    table = monthly_returns(path.returns, path.dates)
    years, values = [str(year) for year in table.index], table.to_numpy(dtype=np.float64)
    reach = float(np.nanmax(np.abs(values), initial=1e-4))
    heat = go.Heatmap(
        x=MONTHS,
        y=years,
        z=np.round(values, 5),
        zmin=-reach,
        zmax=reach,
        colorscale=DIVERGING,
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{x} %{y}: %{z:.2%}<extra></extra>",
    )
    figure = styled(go.Figure(heat), 90 + 34 * len(table))
    rows, columns = np.nonzero(np.isfinite(values))
    shown = values[rows, columns]
    figure.add_scatter(
        x=[MONTHS[k] for k in columns],
        y=[years[k] for k in rows],
        mode="text",
        text=[number(100 * one, 0 if abs(one) >= TWO_DIGITS else 1) for one in shown],
        textfont={"size": 11, "color": [readable_on(cell_colour(one / reach)) for one in shown]},
        hoverinfo="skip",
        showlegend=False,
    )
    ticks = {"tickangle": 0, "tickfont": {"size": 10}}
    figure.update_xaxes(showgrid=False, side="top", range=[-0.5, len(MONTHS) - 0.5], **ticks)
    figure.update_yaxes(showgrid=False, type="category", range=[len(years) - 0.5, -0.5])
    return figure


def cell_colour(value: float) -> tuple[float, float, float]:
    """Returns red, green and blue in [0, 1] of `DIVERGING` at a value from -1 to 1."""
    places = [2 * place - 1 for place, _ in DIVERGING]
    parts = [[int(shade[k : k + 2], 16) / 255 for k in (1, 3, 5)] for _, shade in DIVERGING]
    red, green, blue = (float(np.interp(value, places, part)) for part in zip(*parts, strict=True))
    return red, green, blue


def readable_on(colour: tuple[float, float, float]) -> str:
    """Returns black or white, whichever has more contrast: at least 4.5 to 1 on any colour.

    Reference: WCAG 2.2, relative luminance and contrast ratio.
    """
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def costs_figure(sensitivity: Mapping[str, Mapping[str, Any]], shades: Mapping[str, str]) -> go.Figure:
    """Returns the Sharpe ratio of each policy at each cost."""
    figure = go.Figure()
    for name, table in sensitivity.items():
        figure.add_scatter(
            x=[float(points) for points in table],
            y=[one["sharpe"] for one in table.values()],
            name=display_name(name),
            mode="lines+markers",
            line={"color": shades.get(name, OTHER)},
            hovertemplate=f"{display_name(name)} at %{{x}} bp: %{{y:.2f}}<extra></extra>",
        )
    styled(figure, 320)
    figure.update_xaxes(title="cost of a trade in basis points")
    figure.update_yaxes(title="Sharpe ratio")
    return figure


def _days(path: Backtest, before: int = 0) -> list[str]:
    """The days of a path; with `before` also the day that it starts from."""
    days: list[str] = path.dates.astype(str).tolist()
    return [str(path.dates[0] - np.timedelta64(1, "D"))] * before + days


def _short(series: AnyArray) -> AnyArray:
    return np.round(series, 5)


def _quarter(path: Backtest) -> FloatArray:
    """Mean turnover of the last quarter, of less at the start; the first bar, which fills the account, is left out."""
    later = pd.Series(path.turnover).where(np.arange(len(path)) > 0)
    return later.rolling(max(1, round(path.periods_per_year / 4)), min_periods=1).mean().to_numpy()
