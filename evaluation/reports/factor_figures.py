"""Figures of a study of factors. A model has one colour in all of them; the first one, the reference, is grey."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evaluation.factor_study import FactorStudy, ModelResult, portfolio
from evaluation.factors import Match, Sample, correlation_matrix, explained_variance, match_factors, reconstruction
from evaluation.reports.figures import AGENTS, DIVERGING
from evaluation.reports.html import INK, styled
from market.arrays import AnyArray, FloatArray

REFERENCE = "#8a929c"
TRUTH = "#d19a2e"
PROBABILITIES = np.concatenate([[0.001, 0.0025, 0.005], np.arange(1, 100) / 100, [0.995, 0.9975, 0.999]])
ASSETS_DRAWN = 60


def shades(study: FactorStudy) -> dict[str, str]:
    """Returns the colour of every model."""
    return {model.name: REFERENCE if k == 0 else AGENTS[(k - 1) % len(AGENTS)] for k, model in enumerate(study.models)}


def lead(study: FactorStudy) -> ModelResult:
    """Returns the model that is shown where there is room for one: the first after the reference."""
    return study.models[min(1, len(study.models) - 1)]


def aligned(study: FactorStudy, model: ModelResult) -> Match:
    """Returns how a model's factors stand beside the known ones or, without those, beside the reference's."""
    if study.known is not None:
        return study.match(model)
    rows = study.parts["test"]
    return match_factors(model.factors[rows], study.models[0].factors[rows])


def axis_names(study: FactorStudy) -> list[str]:
    """Returns what aligned factors are called."""
    if study.known is not None:
        return list(study.known.names)
    return [f"factor {k + 1}" for k in range(study.models[0].factors.shape[1])]


def matching_figure(study: FactorStudy) -> go.Figure:
    """Returns the absolute correlation of each known factor with the learnt one that stands for it, on test days."""
    figure, colours, names = go.Figure(), shades(study), axis_names(study)
    for model in study.models:
        figure.add_bar(
            x=names,
            y=rounded(np.abs(aligned(study, model).correlation)),
            name=model.name,
            marker={"color": colours[model.name]},
            hovertemplate=f"{model.name}, %{{x}}: %{{y:.2f}}<extra></extra>",
        )
    figure.add_hline(y=study.threshold, line={"color": TRUTH, "dash": "dot", "width": 1.5})
    styled(figure, 340)
    figure.update_layout(bargap=0.25, bargroupgap=0.08)
    figure.update_yaxes(title="|correlation|", range=[0, 1.02])
    figure.update_xaxes(type="category")
    return figure


def matrices_figure(study: FactorStudy) -> go.Figure:
    """Returns every correlation of a learnt with a known factor, a map a model; one bright diagonal is perfection."""
    count, names = len(study.models), axis_names(study)
    rows = -(-count // 2)
    titles = [model.name for model in study.models]
    figure = make_subplots(
        rows=rows, cols=min(count, 2), subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.3 / rows
    )
    for k, model in enumerate(study.models):
        match = aligned(study, model)
        rest = [n for n in range(match.matrix.shape[0]) if n not in match.order]
        order = [n for n in match.order if n >= 0] + rest
        signs = [np.sign(match.correlation[match.order == n][0]) if n in match.order else 1.0 for n in order]
        matrix = match.matrix[order] * np.nan_to_num(np.array(signs), nan=1.0)[:, None]
        heat = go.Heatmap(
            z=np.round(matrix, 3),
            x=names,
            y=[f"z{n + 1}" for n in order],
            text=[["" if np.isnan(one) else f"{one:.1f}".replace("-0.0", "0.0") for one in row] for row in matrix],
            texttemplate="%{text}",
            textfont={"size": 11},
            hovertemplate=f"{model.name} %{{y}} with %{{x}}: %{{z:.2f}}<extra></extra>",
            zmin=-1,
            zmax=1,
            colorscale=DIVERGING,
            showscale=False,
            xgap=2,
            ygap=2,
        )
        figure.add_trace(heat, row=k // 2 + 1, col=k % 2 + 1)
    styled(figure, 70 + 250 * rows)
    small_titles(figure)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="")
    figure.update_xaxes(type="category", showgrid=False, tickangle=-40, tickfont={"size": 10}, ticks="")
    return figure


def paths_figure(study: FactorStudy, model: ModelResult) -> go.Figure:
    """Returns running sums of the known factors over test days, and of the learnt ones that stand for them."""
    assert study.known is not None
    rows, names = study.parts["test"], study.known.names
    match = study.match(model)
    learnt = _standing(match.aligned(model.factors[rows]))
    known = _standing(study.known.factors[rows])
    days = study.dates[rows].astype(str).tolist()
    titles = [
        f"{name}  ({'none' if np.isnan(one) else f'{abs(one):.2f}'})"
        for name, one in zip(names, match.correlation, strict=True)
    ]
    figure = make_subplots(
        rows=len(names), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.25 / len(names)
    )
    lines = ((known, "known", TRUTH), (learnt, model.name, shades(study)[model.name]))
    for j in range(len(names)):
        for series, name, colour in lines:
            figure.add_scatter(
                x=days,
                y=rounded(np.nancumsum(series[:, j])),
                name=name,
                legendgroup=name,
                showlegend=j == 0,
                mode="lines",
                line={"color": colour, "width": 1.6},
                hovertemplate=f"{name} %{{x}}: %{{y:.1f}}<extra></extra>",
                row=j + 1,
                col=1,
            )
    styled(figure, 80 + 120 * len(names))
    small_titles(figure)
    figure.update_annotations(x=0, xanchor="left")
    figure.update_layout(legend={"y": 1 + 36 / (80 + 120 * len(names))}, margin={"t": 60})
    return figure


def loadings_figure(study: FactorStudy) -> go.Figure:
    """Returns loadings by asset: the true ones where they are known, the reference's and the leading model's."""
    names, chosen = axis_names(study), list(dict.fromkeys([study.models[0], lead(study)]))
    panels = [(model.name, aligned(study, model).aligned(model.loadings)) for model in chosen]
    if study.known is not None and study.known.loadings is not None:
        panels.insert(0, ("truth", study.known.loadings))
    reach = min(1.0, float(np.nanmax([np.nanmax(np.abs(values), initial=0.1) for _, values in panels])))
    titles = [name for name, _ in panels]
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03)
    for k, (name, values) in enumerate(panels):
        heat = go.Heatmap(
            z=np.round(values, 3),
            x=names,
            y=list(study.assets),
            zmin=-reach,
            zmax=reach,
            colorscale=DIVERGING,
            showscale=k == len(panels) - 1,
            colorbar={"thickness": 8, "outlinewidth": 0},
            xgap=1,
            hovertemplate=f"{name}, %{{y}} on %{{x}}: %{{z:.2f}}<extra></extra>",
        )
        figure.add_trace(heat, row=1, col=k + 1)
    styled(figure, 120 + 13 * min(len(study.assets), 80))
    small_titles(figure)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, tickfont={"size": 10}, ticks="")
    figure.update_xaxes(type="category", showgrid=False, tickangle=-50, tickfont={"size": 10}, ticks="")
    return figure


def explained_figure(study: FactorStudy) -> go.Figure:
    """Returns what each factor alone explains of the returns of test days, strongest first."""
    figure, colours = go.Figure(), shades(study)
    train, test = study.parts["train"], study.parts["test"]
    standard = study.standard(study.returns)
    for model in study.models:
        fit = Sample(model.factors[train], standard[train])
        each = np.sort(explained_variance(fit, Sample(model.factors[test], standard[test])).each)[::-1]
        figure.add_bar(
            x=[str(k + 1) for k in range(len(each))],
            y=rounded(each),
            name=model.name,
            marker={"color": colours[model.name]},
            hovertemplate=f"{model.name}, factor %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    styled(figure, 300)
    figure.update_layout(bargap=0.25, bargroupgap=0.08)
    figure.update_yaxes(title="share of variance", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(type="category", title="factor of each model, strongest first")
    return figure


def reconstruction_figure(study: FactorStudy) -> go.Figure:
    """Returns the share of each asset's variance on test days that a model's factors rebuild."""
    figure, colours, rows = go.Figure(), shades(study), study.parts["test"]
    standard = study.standard(study.returns)[rows]
    shares = {m.name: reconstruction(standard, study.standard(m.rebuilt)[rows]).by_asset for m in study.models}
    order = np.argsort(-np.nan_to_num(shares[study.models[0].name], nan=-1.0), kind="stable")
    for name, share in shares.items():
        figure.add_scatter(
            x=[study.assets[n] for n in order],
            y=rounded(share[order]),
            name=name,
            mode="lines+markers" if name == study.models[0].name else "markers",
            line={"color": colours[name], "width": 1},
            marker={"color": colours[name], "size": 7, "opacity": 0.85},
            hovertemplate=f"{name}, %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    styled(figure, 340)
    figure.update_yaxes(title="share rebuilt", tickformat=".0%")
    figure.update_xaxes(type="category", tickangle=-60, tickfont={"size": 10}, ticks="")
    return figure


def tails_figure(study: FactorStudy) -> go.Figure:
    """Returns quantiles of the equally weighted portfolio on simulated days against those of the test days."""
    colours = shades(study)
    truth = _quantiles(study.returns[study.parts["test"]])
    series = [("train days", _quantiles(study.returns[study.parts["train"]]), TRUTH)]
    series += [(model.name, _quantiles(model.drawn), colours[model.name]) for model in study.models]
    figure = go.Figure()
    figure.add_scatter(
        x=rounded(truth[[0, -1]]),
        y=rounded(truth[[0, -1]]),
        mode="lines",
        line={"color": INK, "width": 1, "dash": "dot"},
        showlegend=False,
        hoverinfo="skip",
    )
    for name, values, colour in series:
        figure.add_scatter(
            x=rounded(truth),
            y=rounded(values),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            customdata=100 * PROBABILITIES,
            hovertemplate=f"{name}, %{{customdata:.2f}} %: %{{y:.2%}} (test %{{x:.2%}})<extra></extra>",
        )
    styled(figure, 420)
    figure.update_xaxes(title="quantile of test days", tickformat=".1%")
    figure.update_yaxes(title="quantile of simulated days", tickformat=".1%")
    return figure


def correlations_figure(study: FactorStudy) -> go.Figure:
    """Returns the correlations of single assets on test days, and on days of the reference and of the leading model."""
    chosen = list(dict.fromkeys([study.models[0], lead(study)]))
    count = len(study.assets)
    shown = np.unique(np.linspace(0, count - 1, min(count, ASSETS_DRAWN)).round().astype(np.int64))
    names = [study.assets[n] for n in shown]
    panels = [("test days", study.returns[study.parts["test"]])]
    panels += [(f"simulated by {model.name}", model.drawn) for model in chosen]
    titles = [name for name, _ in panels]
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.02)
    for k, (name, returns) in enumerate(panels):
        matrix = correlation_matrix(returns[:, shown])
        heat = go.Heatmap(
            z=np.round(matrix, 2),
            x=names,
            y=names,
            zmin=-1,
            zmax=1,
            colorscale=DIVERGING,
            showscale=False,
            hovertemplate=f"{name}, %{{y}} and %{{x}}: %{{z:.2f}}<extra></extra>",
        )
        figure.add_trace(heat, row=1, col=k + 1)
    styled(figure, 380)
    small_titles(figure)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, tickfont={"size": 9}, ticks="")
    figure.update_xaxes(type="category", showgrid=False, tickangle=-60, tickfont={"size": 9}, ticks="")
    return figure


def learning_figure(study: FactorStudy) -> go.Figure | None:
    """Returns the evidence lower bound of the valid days by epoch; None where no model was trained step by step."""
    figure, colours, drawn = go.Figure(), shades(study), False
    for model in study.models:
        losses = [entry["valid"]["loss"] for entry in model.history]
        if len(losses) < 2 or "kl" not in losses[0]:
            continue
        drawn = True
        figure.add_scatter(
            x=[entry["epoch"] + 1 for entry in model.history],
            y=rounded(np.array([-one["reconstruction"] - one["kl"] for one in losses])),
            name=model.name,
            mode="lines",
            line={"color": colours[model.name], "width": 2},
            hovertemplate=f"{model.name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    if not drawn:
        return None
    styled(figure, 300)
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="nats per return")
    return figure


def _standing(columns: FloatArray) -> FloatArray:
    """Columns over their own standard deviation, unknown days as they are."""
    spread = np.nanstd(columns, axis=0) if np.isfinite(columns).any(axis=0).all() else np.ones(columns.shape[1])
    scaled: FloatArray = (columns - np.nan_to_num(np.nanmean(columns, axis=0))) / np.where(spread > 0, spread, 1.0)
    return scaled


def _quantiles(returns: FloatArray) -> FloatArray:
    series = portfolio(returns)
    found: FloatArray = np.quantile(series[np.isfinite(series)], PROBABILITIES)
    return found


def small_titles(figure: go.Figure) -> None:
    """Makes the titles of panels as small as the axes' text."""
    figure.update_annotations(font={"size": 12, "color": INK})


def rounded(values: AnyArray) -> Any:
    """Returns numbers with five decimals for a figure, None where they are unknown."""
    return [None if np.isnan(one) else one for one in np.round(values, 5).tolist()]
