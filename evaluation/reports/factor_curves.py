"""Further figures of a study of factors: how many there are to find, how learning went, and single assets rebuilt."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evaluation.factor_study import FactorStudy
from evaluation.factors import correlation_matrix
from evaluation.reports.factor_figures import REFERENCE, TRUTH, rounded, shades, small_titles
from evaluation.reports.html import styled
from market.arrays import FloatArray

COMPONENTS = 20
"""Principal components that the scree plot has room for."""
OVERLAID = 4
"""Assets whose returns are drawn beside the rebuilt ones."""
OVERLAID_DAYS = 120


def eigenvalue_shares(returns: FloatArray) -> FloatArray:
    """Returns the share of variance of each principal component of standardised returns ``[T, N]``, largest first.

    They are the eigenvalues of the correlation matrix over their sum; pairs without a correlation count as 0.
    """
    matrix = np.nan_to_num(correlation_matrix(returns))
    np.fill_diagonal(matrix, 1.0)
    values = np.clip(np.linalg.eigvalsh(matrix)[::-1], 0.0, None)
    shares: FloatArray = values / values.sum()
    return shares


def scree_figure(study: FactorStudy) -> go.Figure:
    """Returns the variance of each principal component of train returns, and of all up to it together."""
    shares = eigenvalue_shares(study.returns[study.parts["train"]])[:COMPONENTS]
    numbers = np.arange(1, len(shares) + 1)
    figure = go.Figure()
    figure.add_bar(
        x=numbers,
        y=rounded(shares),
        name="this component",
        marker={"color": REFERENCE},
        hovertemplate="component %{x}: %{y:.1%}<extra></extra>",
    )
    figure.add_scatter(
        x=numbers,
        y=rounded(np.cumsum(shares)),
        name="all up to it",
        mode="lines+markers",
        line={"color": TRUTH, "width": 2},
        hovertemplate="first %{x}: %{y:.1%}<extra></extra>",
    )
    width = study.models[0].factors.shape[1]
    figure.add_vline(x=width + 0.5, line={"color": REFERENCE, "dash": "dot", "width": 1.5})
    styled(figure, 320)
    figure.update_xaxes(title=f"principal component; the models have {width} factors", dtick=1)
    figure.update_yaxes(title="share of variance", tickformat=".0%", range=[0, 1.02])
    return figure


def terms_figure(study: FactorStudy) -> go.Figure | None:
    """Returns reconstruction loss and divergence of the valid days by epoch; None where no model has both."""
    titles = {"reconstruction": "reconstruction, nats per return", "kl": "divergence (KL), nats per return"}
    figure, colours, drawn = make_subplots(1, 2, subplot_titles=list(titles.values())), shades(study), False
    for model in study.models:
        losses = [entry["valid"]["loss"] for entry in model.history]
        if len(losses) < 2 or not set(titles) <= set(losses[0]):
            continue
        drawn = True
        for column, term in enumerate(titles, start=1):
            figure.add_scatter(
                x=[entry["epoch"] + 1 for entry in model.history],
                y=rounded(np.array([one[term] for one in losses])),
                name=model.name,
                legendgroup=model.name,
                showlegend=column == 1,
                mode="lines",
                line={"color": colours[model.name], "width": 2},
                hovertemplate=f"{model.name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
                row=1,
                col=column,
            )
    if not drawn:
        return None
    styled(figure, 320)
    small_titles(figure)
    figure.update_xaxes(title="epoch")
    return figure


def overlays_figure(study: FactorStudy) -> go.Figure:
    """Returns returns of single assets on the first test days beside what each model rebuilds of them.

    Shown are the assets that the reference rebuilds best and worst, and two in between.
    """
    rows = slice(study.parts["test"].start, min(study.parts["test"].stop, study.parts["test"].start + OVERLAID_DAYS))
    chosen = _spread(study)
    figure = make_subplots(
        len(chosen), 1, shared_xaxes=True, subplot_titles=[study.assets[k] for k in chosen], vertical_spacing=0.07
    )
    days, colours = study.dates[rows].astype(str).tolist(), shades(study)
    for row, asset in enumerate(chosen, start=1):
        series = [("true", study.returns[rows, asset], TRUTH, 1.4)]
        series += [(one.name, one.rebuilt[rows, asset], colours[one.name], 1.2) for one in study.models[:2]]
        for name, values, colour, width in series:
            figure.add_scatter(
                x=days,
                y=rounded(values),
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                mode="lines",
                line={"color": colour, "width": width},
                hovertemplate=f"{name}, %{{x}}: %{{y:.2%}}<extra></extra>",
                row=row,
                col=1,
            )
    styled(figure, 170 * len(chosen) + 60)
    small_titles(figure)
    figure.update_yaxes(tickformat=".0%")
    return figure


def _spread(study: FactorStudy) -> list[int]:
    """Returns assets from the best to the worst rebuilt by the reference on test days."""
    rows = study.parts["test"]
    error = study.standard(study.returns[rows]) - study.standard(study.models[0].rebuilt[rows])
    known = np.isfinite(error)
    size = np.where(known, np.square(error), 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    ranked = [k for k in np.argsort(size, kind="stable").tolist() if known[:, k].any()]
    if not ranked:
        return []
    picked = np.unique(np.linspace(0, len(ranked) - 1, min(OVERLAID, len(ranked))).astype(int))
    return [ranked[k] for k in picked]
