"""`python -m tools.download --config configs/download/dj30.py`: bars from Yahoo Finance to a clean panel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from configs.schema.prepare import Prepare
from market.sources.yahoo.source import YFinance
from tools.cli import configured, progress, run
from tools.prepare import made_by, prepare


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
    """Downloads what the cache lacks, then cleans and saves the panel as tools.prepare does.

    An experiment without a last day has new bars every day, so its own panel is made again.
    """
    experiment, options = configured(Prepare, Options, argv, "configs/download")
    source = experiment.source
    if not isinstance(source, YFinance):
        raise ValueError(f"{experiment.name}: source is {type(source).__name__}, which tools.prepare reads; use that")
    if options.allow_missing:
        source = replace(source, allow_missing=True)
        experiment = replace(experiment, source=source)
    target = Path(options.workdir) / "data" / experiment.name / "panel.safetensors"
    grows = source.stop is None and target.exists() and made_by(experiment, target)
    prepare(
        experiment,
        Path(options.workdir),
        options.overwrite or grows,
        lambda: source.read(track=lambda batches: progress(batches, len(batches), "batches from Yahoo")),
    )


if __name__ == "__main__":
    run(main)
