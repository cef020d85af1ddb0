"""`python -m tools.download --config configs/download/dj30.py`: bars from Yahoo Finance to a clean panel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from tools.command import SHOWING, configured, run


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Replace a panel that another config made."""
    allow_missing: bool = False
    """Leave out tickers that Yahoo has no bars of, instead of failing with their names."""


def main(argv: Sequence[str]) -> None:
    """Downloads what the cache lacks, then cleans and saves the panel as tools.prepare does."""
    from configs.schema.prepare import Prepare

    experiment, options = configured(Prepare, Options, argv, "configs/download")
    pipeline.download(experiment, Path(options.workdir), options.overwrite, options.allow_missing, SHOWING)


if __name__ == "__main__":
    run(main)
