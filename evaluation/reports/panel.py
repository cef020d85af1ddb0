"""Summary of a panel: one for the terminal and one self-contained HTML page with figures."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from evaluation.reports.html import Page, styled
from market.arrays import AnyArray, BoolArray, FloatArray
from market.panel import Panel
from market.preparation.quality import Place, Report
from market.prices.fills import simple_returns

DAYS_DRAWN = 400
ASSETS_DRAWN = 500
LINES_DRAWN = 30
FINDINGS_SHOWN = 200


@dataclass(frozen=True)
class Summary:
    """The figures by which one knows a panel.

    Attributes:
        days: First and last day and their number.
        assets: Number of assets.
        fields: Names of the fields.
        listed: Share of the cells on which an asset is listed.
        missing: Share of the listed cells without a value, by field.
        tradable: Share of the listed cells on which the asset can be traded.
        late: Assets that are not listed on the first day.
        ended: Assets that are not listed on the last day.
        moves: The largest moves between consecutive closes of an asset, the return as detail.
    """

    days: tuple[str, str, int]
    assets: int
    fields: tuple[str, ...]
    listed: float
    missing: dict[str, float]
    tradable: float
    late: tuple[str, ...]
    ended: tuple[str, ...]
    moves: tuple[Place, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Returns the summary as pairs of a name and a text."""
        holes = [f"{name} {share:.3%}" for name, share in self.missing.items() if share > 0]
        return [
            ("days", f"{self.days[2]:,} from {self.days[0]} to {self.days[1]}"),
            ("assets", f"{self.assets:,}"),
            ("listed later", _named(self.late)),
            ("gone by the last day", _named(self.ended)),
            ("fields", ", ".join(self.fields[:12]) + (f", ... {len(self.fields)}" if len(self.fields) > 12 else "")),
            ("listed", f"{self.listed:.2%} of all cells"),
            ("tradable", f"{self.tradable:.2%} of the listed cells"),
            ("missing", (", ".join(holes[:12]) + " of the listed cells") if holes else "nothing"),
            ("largest moves", ", ".join(map(str, self.moves)) or "no closes"),
        ]


def summarise(panel: Panel, n_moves: int = 10) -> Summary:
    """Returns the summary of a panel; moves only where it has closes.

    Raises:
        ValueError: The panel has no days or no assets.
    """
    days, assets, _ = panel.shape
    if not days or not assets:
        raise ValueError(f"panel: {days} days and {assets} assets, nothing to show; prepare it again")
    cells = max(int(panel.listed.sum()), 1)
    missing = {name: float((np.isnan(panel[name]) & panel.listed).sum() / cells) for name in panel.fields}
    return Summary(
        days=(str(panel.dates[0]), str(panel.dates[-1]), days),
        assets=assets,
        fields=panel.fields,
        listed=float(panel.listed.mean()),
        missing=missing,
        tradable=float(panel.tradable.sum() / cells),
        late=tuple(panel.assets[k] for k in np.flatnonzero(~panel.listed[0])),
        ended=tuple(panel.assets[k] for k in np.flatnonzero(~panel.listed[-1])),
        moves=_largest_moves(panel, n_moves) if "close" in panel.fields else (),
    )


def _named(assets: tuple[str, ...], shown: int = 12) -> str:
    """Returns how many assets there are, and the names of the first of them."""
    names = ", ".join(assets[:shown]) + (", ..." if len(assets) > shown else "")
    return f"{len(assets):,} ({names})" if assets else "none"


def figures(panel: Panel) -> dict[str, go.Figure]:
    """Returns the figures of a panel by title: coverage, prices where there are closes, and missing values."""
    drawn = {"Coverage": _coverage(panel), "Missing values": _missing(panel)}
    if "close" in panel.fields:
        drawn["Prices"] = _prices(panel)
    return drawn


def page(panel: Panel, report: Report | None, title: str) -> str:
    """Returns one HTML page that needs nothing from outside: summary, quality report and figures.

    Args:
        panel: The panel.
        report: What its cleaning found, or None where that is not known.
        title: Heading of the page.
    """
    made = Page(title)
    made.facts(summarise(panel).rows())
    made.heading("Quality")
    made.listing("No quality report beside this panel." if report is None else report.table())
    if report is not None and report.findings:
        made.heading("Findings, the most dangerous first")
        made.listing("\n".join(report.listing(FINDINGS_SHOWN)))
    for name, figure in figures(panel).items():
        made.heading(name)
        made.figure(figure)
    return made.source()


def _largest_moves(panel: Panel, count: int) -> tuple[Place, ...]:
    returns = np.where(panel.listed, simple_returns(panel), np.nan)
    size = np.abs(np.nan_to_num(returns, nan=0.0, posinf=0.0, neginf=0.0))
    order = np.argsort(-size, axis=None, kind="stable")[:count]
    places = []
    for day, asset in zip(*np.unravel_index(order, size.shape), strict=True):
        if size[day, asset] > 0:
            places.append(Place(panel.assets[asset], str(panel.dates[day]), f"{returns[day, asset]:+.1%}"))
    return tuple(places)


def _buckets(count: int, limit: int) -> AnyArray:
    """Returns where runs of rows start that leave at most `limit` of them."""
    return np.unique(np.linspace(0, count, min(count, limit), endpoint=False).astype(np.int64))


def _share(mask: BoolArray, starts: AnyArray) -> FloatArray:
    """Returns the share of true rows of ``[T, K]`` within every run of days."""
    lengths = np.diff(np.append(starts, len(mask)))[:, None]
    share: FloatArray = np.add.reduceat(mask.astype(np.float64), starts, axis=0) / lengths
    return share


def _coverage(panel: Panel) -> go.Figure:
    starts = _buckets(len(panel), DAYS_DRAWN)
    chosen = _buckets(len(panel.assets), ASSETS_DRAWN)
    level = _share(panel.listed[:, chosen], starts) + _share(panel.tradable[:, chosen], starts)
    names = [panel.assets[n] for n in chosen]
    heat = go.Heatmap(
        x=panel.dates[starts].astype(str),
        y=names,
        z=np.round(level.T, 3),
        zmin=0,
        zmax=2,
        colorscale=[[0, "#eeeeee"], [0.5, "#e08e45"], [1, "#2f6f9f"]],
        colorbar={"tickvals": [0, 1, 2], "ticktext": ["not listed", "halted", "tradable"]},
        hovertemplate="%{y} %{x}<extra></extra>",
    )
    height = int(np.clip(14 * len(names), 300, 900))
    return styled(go.Figure(heat, {"yaxis": {"autorange": "reversed", "type": "category"}}), height)


def _prices(panel: Panel) -> go.Figure:
    starts, chosen = _buckets(len(panel), DAYS_DRAWN), _buckets(len(panel.assets), LINES_DRAWN)
    close = panel["close"]
    figure = go.Figure(layout={"yaxis": {"type": "log", "title": "close / first close"}})
    for n in chosen:
        observed = close[np.isfinite(close[:, n]), n]
        if len(observed):
            relative = np.round(close[starts, n] / observed[0], 4)
            figure.add_scatter(x=panel.dates[starts].astype(str), y=relative, name=panel.assets[n], line={"width": 1})
    if len(chosen) < len(panel.assets):
        figure.update_layout(title=f"{len(chosen)} of {len(panel.assets)} assets, evenly chosen by name")
    return styled(figure, 460)


def _missing(panel: Panel) -> go.Figure:
    starts = _buckets(len(panel), DAYS_DRAWN)
    chosen = _buckets(len(panel.fields), ASSETS_DRAWN)
    listed = np.maximum(np.add.reduceat(panel.listed.sum(axis=1), starts), 1)
    names = [panel.fields[k] for k in chosen]
    holes = np.stack([(np.isnan(panel[name]) & panel.listed).sum(axis=1) for name in names], axis=1)
    share = np.round(np.add.reduceat(holes, starts, axis=0) / listed[:, None], 4)
    heat = go.Heatmap(
        x=panel.dates[starts].astype(str),
        y=names,
        z=share.T,
        zmin=0,
        zmax=max(float(share.max(initial=0.0)), 0.01),
        colorscale="Reds",
        colorbar={"title": "share of<br>listed cells", "tickformat": ".1%"},
        hovertemplate="%{y} %{x}: %{z:.2%}<extra></extra>",
    )
    height = int(np.clip(14 * len(names), 260, 900))
    return styled(go.Figure(heat, {"yaxis": {"autorange": "reversed", "type": "category"}}), height)
