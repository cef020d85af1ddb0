"""One HTML page that needs nothing from outside: tables, text, and figures with plotly inlined once."""

import html
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

INK = "#7b8490"
"""Text and axes of figures: legible on white and on black, since a figure does not know the reader's theme."""
RULE = "rgba(128,138,150,.22)"
"""Grid lines of figures."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --quiet: #626d7a; --rule: #dfe3e8; --paper: #ffffff;
  --panel: #f6f7f9; --accent: #2563a8; --good: #2f7d4f; --bad: #b3402e }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe4ea; --quiet: #98a2ae; --rule: #2d343d; --paper: #14181d;
  --panel: #1b2026; --accent: #6ea8e6; --good: #6cc08d; --bad: #e58673 } }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em; margin: 0 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 3rem 0 .4rem; padding-top: 1rem; border-top: 1px solid var(--rule) }
h3 { font-size: 1rem; margin: 1.8rem 0 .3rem }
p { margin: .4rem 0 .8rem; max-width: 46rem }
.quiet { color: var(--quiet); font-size: .9rem }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; -webkit-overflow-scrolling: touch }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; min-width: 100% }
th, td { padding: .42rem .7rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--rule);
  white-space: nowrap }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; white-space: normal; line-height: 1.25 }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0;
  background: var(--paper) }
td.words { text-align: left; white-space: normal; min-width: 12rem }
tbody th { font-weight: inherit; color: inherit; vertical-align: top; white-space: nowrap }
td small, th small { display: block; color: var(--quiet); font-size: .78rem }
tr.lead td, tr.lead th { font-weight: 600 } tr.lead th:first-child { color: var(--accent) }
tr.lead small { font-weight: 400 } tr.aside td, tr.aside th { color: var(--quiet); font-style: italic }
table.facts { min-width: 0 }
table.facts td { text-align: left; white-space: normal; overflow-wrap: break-word; max-width: 46rem }
table.facts th { color: var(--quiet); white-space: nowrap; padding-right: 1.5rem }
figure { margin: .6rem 0 1.2rem } figure text:not(.textpoint text) { fill: var(--quiet) !important }
pre { overflow-x: auto; background: var(--panel); padding: 1rem; font-size: .8rem; border-radius: 6px }
details summary { cursor: pointer; color: var(--accent) }
.good { color: var(--good) } .bad { color: var(--bad) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .75rem; margin: 1.2rem 0 }
.tile { background: var(--panel); border-radius: 8px; padding: .8rem 1rem }
.tile b { font-size: 1.3rem; font-weight: 600; line-height: 1.35; font-variant-numeric: tabular-nums }
.line { font-variant-numeric: tabular-nums }
.verdict { background: var(--panel); border-left: 4px solid var(--accent); border-radius: 0 8px 8px 0;
  padding: 1rem 1.3rem; margin: 1.2rem 0 } .verdict p { max-width: none }
ul { padding-left: 1.15rem; margin: .4rem 0 0 } li { margin: .25rem 0; max-width: 56rem }
@media (max-width: 600px) { body { padding: 1.25rem .9rem 3rem; font-size: 15px } h1 { font-size: 1.35rem }
  th, td { padding: .38rem .5rem } th:first-child, td:first-child { white-space: normal; max-width: 8.2rem }
  table.facts tr, table.facts th, table.facts td { display: block; max-width: none; border: 0; padding: 0 }
  table.facts tr { padding: .35rem 0; border-bottom: 1px solid var(--rule) } table.facts th { white-space: normal } }
@media print { :root { --ink: #000; --quiet: #444; --rule: #bbb; --paper: #fff; --panel: #fff; --accent: #1d4f87;
  --good: #1e6237; --bad: #8f2f20; color-scheme: light }
  body { max-width: none; padding: 0; font-size: 10.5pt } .scroll { overflow: visible } table { font-size: 8.5pt }
  figure, .verdict, .tiles, .tile, tr, details { break-inside: avoid } h1, h2, h3 { break-after: avoid }
  h2 + p, h3 + p { break-after: avoid } thead { display: table-header-group } th, td { padding: .25rem .4rem }
  th:first-child, td:first-child { position: static } pre { white-space: pre-wrap } }
"""
_PRINTED = (
    "<script>const fit = () => document.querySelectorAll('.js-plotly-plot').forEach(one => Plotly.Plots.resize(one));"
    "addEventListener('beforeprint', fit); addEventListener('afterprint', fit)</script>"
)
"""Figures take the width of the paper while a page is printed."""
_CONFIG = {"responsive": True, "displayModeBar": False}


class Page:
    """A page under construction; its parts come in the order they are added.

    Nothing is loaded from a network: styles and plotly's script, once and only where a figure is drawn, are part of
    the page.

    Args:
        title: Of the document and its heading.
        lead: A line below the heading.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]
        self._figures = 0
        self._latest = title
        if lead:
            self.text(lead, quiet=True)

    def heading(self, words: str, level: int = 2) -> None:
        """Adds a heading; a figure below it without words of its own is described by it."""
        self._latest = words
        self._parts.append(f"<h{level}>{html.escape(words)}</h{level}>")

    def text(self, words: str, quiet: bool = False) -> None:
        """Adds a paragraph of plain text."""
        kind = ' class="quiet"' if quiet else ""
        self._parts.append(f"<p{kind}>{html.escape(words)}</p>")

    def listed(self, sentences: Iterable[str]) -> None:
        """Adds sentences of plain text, one below the other."""
        self._parts.append("<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in sentences) + "</ul>")

    def markup(self, source: str) -> None:
        """Adds HTML as it stands; whoever writes it escapes what came from outside."""
        self._parts.append(source)

    def facts(self, rows: Iterable[tuple[str, str]]) -> None:
        """Adds a table of names and texts."""
        lines = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th><td>{_breakable(text)}</td></tr>' for name, text in rows
        )
        self._parts.append(f'<table class="facts"><tbody>{lines}</tbody></table>')

    def listing(self, words: str) -> None:
        """Adds preformatted text."""
        self._parts.append(f"<pre>{html.escape(words)}</pre>")

    def folded(self, title: str, words: str) -> None:
        """Adds preformatted text that shows when its title is clicked."""
        self._parts.append(f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(words)}</pre></details>")

    def figure(self, figure: go.Figure, words: str = "") -> None:
        """Adds a figure as wide as the page; the first one brings plotly's script.

        Args:
            figure: The figure.
            words: What it shows, for those who cannot see it; the heading above it by default.
        """
        name, script = f"figure-{self._figures}", self._figures == 0
        drawn = figure.to_html(
            full_html=False, include_plotlyjs=script, div_id=name, config=_CONFIG, default_width="100%"
        )
        series = ", ".join(dict.fromkeys(str(one.name) for one in figure.data if one.name))
        told = html.escape((words or self._latest) + (f": {series}" if series else ""))
        self._parts.append(f'<figure role="group" aria-label="Figure. {told}">{drawn}</figure>')
        self._figures += 1

    @property
    def n_figures(self) -> int:
        """Number of figures so far; they are the elements ``figure-0``, ``figure-1``, ..."""
        return self._figures

    def source(self) -> str:
        """Returns the whole page."""
        head = (
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="icon" href="data:,"><title>{html.escape(self.title)}</title><style>{_STYLE}</style>'
        )
        body = "\n".join([*self._parts, *([_PRINTED] if self._figures else [])])
        return (
            f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n<main>\n{body}\n</main>\n</body></html>\n'
        )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], kinds: Sequence[str] = (), texts: Sequence[int] = ()
) -> str:
    """Returns an HTML table that scrolls sideways where the screen is narrow; the first column stays.

    Args:
        columns: Headings, plain text.
        rows: Cells, markup: whoever writes them escapes what came from outside.
        kinds: Class of each row: ``lead``, ``aside`` or nothing.
        texts: Columns of sentences, which are broken into lines.
    """
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' if column else "<td></td>" for column in columns)
    lines = []
    for k, row in enumerate(rows):
        kind = f' class="{kinds[k]}"' if k < len(kinds) and kinds[k] else ""
        cells = "".join(
            f'<td class="words">{c}</td>' if k in texts else f"<td>{c}</td>" for k, c in enumerate(row) if k
        )
        lines.append(f'<tr{kind}><th scope="row">{row[0]}</th>{cells}</tr>')
    body = "\n".join(lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {html.escape(", ".join(columns[:3]))}">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _breakable(text: str) -> str:
    """Returns escaped text that may be broken after the slashes of a path, and nowhere inside a word."""
    return html.escape(text).replace("/", "/<wbr>")


def styled(figure: go.Figure, height: int = 380) -> go.Figure:
    """Returns `figure` in the look of the page: transparent, quiet lines, legend above, margins that fit a phone."""
    axis = {"gridcolor": RULE, "zerolinecolor": RULE, "linecolor": RULE, "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 10, "r": 10, "t": 36, "b": 30},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        hoverlabel={"font": {"size": 12}},
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
