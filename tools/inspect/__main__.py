"""`python -m tools.inspect --panel workdir/data/dj30/panel.safetensors`: a panel as text and as a page."""

# This folder has no __init__.py on purpose: a module called inspect in the folder of a script would hide Python's own
# from it, and accelerate launch tools/pretrain.py runs a script of this folder. A bare folder does not.

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from configs.paths import panel_of
from tools.command import plain, run


@dataclass(frozen=True)
class Options:
    """Prints the summary of a panel and the quality report beside it, and draws them to an HTML page."""

    panel: str
    """Panel file, in the workdir, or the name of a prepared panel."""
    html: str | None = None
    """Page to write; none where not given."""
    moves: int = 10
    """Number of largest moves to print."""
    findings: int = 40
    """Number of findings to print one by one, the most dangerous first."""
    features: str | None = None
    """Directory of a pretraining run, of whose inputs the health is printed as well."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""


def main(argv: Sequence[str]) -> None:
    """Prints, and draws where asked to."""
    options = plain(Options, argv)
    found = pipeline.inspect_panel(panel_of(options.panel, options.workdir), options.moves, options.html)
    rows = found.summary.rows()
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    quality = "no report beside this panel" if found.quality is None else found.quality.table()
    print(f"\nquality: {quality}")
    if found.quality is not None and found.quality.findings:
        print("\n" + "\n".join(found.quality.listing(options.findings)))
    if options.features is not None:
        from market.artifacts import FEATURES
        from market.features.health import health_rows
        from market.storage.array_file import read_json

        told = health_rows(read_json(Path(options.features) / FEATURES))
        print("\n".join(["\ninputs:", *(f"  {name}  {text}" for name, text in told)]))
    if options.html is not None:
        print(f"\nwrote {options.html}")


if __name__ == "__main__":
    run(main)
