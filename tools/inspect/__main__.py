"""`python -m tools.inspect --panel workdir/data/dj30/panel.safetensors`: a panel as text and as a page.

This folder has no ``__init__.py`` on purpose: a module called ``inspect`` in the folder of a script would hide Python's
own from it, and ``accelerate launch tools/pretrain.py`` runs a script of this folder. A bare folder does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.reports.panel import page, summarise
from market.features.health import health_rows
from market.panel import Panel
from market.quality import Report
from market.storage.array_file import read_json, write_text
from tools.cli import plain, run


@dataclass(frozen=True)
class Inspect:
    """Prints the summary of a panel and the quality report beside it, and draws them to an HTML page."""

    panel: str
    """Panel file (panel.safetensors)."""
    html: str | None = None
    """Page to write; none where not given."""
    moves: int = 10
    """Number of largest moves to print."""
    features: str | None = None
    """Directory of a pretraining run, of whose inputs the health is printed as well."""


def main(argv: Sequence[str]) -> None:
    """Prints, and draws where asked to."""
    options = plain(Inspect, argv)
    path = Path(options.panel)
    panel = Panel.load(path)
    report = _report(path.with_name("quality.json"))
    rows = summarise(panel, options.moves).rows()
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    print(f"\nquality: {'no report beside this panel' if report is None else report.table()}")
    if options.features is not None:
        print(f"\n{_health(Path(options.features))}")
    if options.html is not None:
        write_text(options.html, page(panel, report, str(path)))
        print(f"\nwrote {options.html}")


def _health(run: Path) -> str:
    """Returns a table of the features of a run with something wrong, from its ``features.json``."""
    rows = health_rows(read_json(run / "features.json"))
    width = max(len(name) for name, _ in rows)
    return "\n".join([f"inputs of {run}:", *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _report(path: Path) -> Report | None:
    if not path.exists():
        return None
    known = read_json(path)
    try:
        return Report.from_json(known)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


if __name__ == "__main__":
    run(main)
