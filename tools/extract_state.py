"""`python -m tools.extract_state --run workdir/pretrain/dj30_storm_dual`: freezes an encoder, extracts, audits."""

from collections.abc import Sequence
from dataclasses import dataclass

import pipeline
from tools.command import SHOWING, plain, run


@dataclass(frozen=True)
class Options:
    """Freezes the best checkpoint of a pretraining run and writes the states of every day, once the audit passes."""

    run: str
    """Directory of the pretraining run."""
    panel: str | None = None
    """Panel to extract from; the one trained on by default, where days may have been appended."""
    name: str | None = None
    """Folder under workdir/states that receives the states; the name of the run by default."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    tokens: bool = False
    """Also keep the raw tokens, which take many times the space."""
    batch_size: int = 32
    """Days computed together; decides memory, not results."""
    overwrite: bool = False
    """Compute all days again instead of appending new ones."""


def main(argv: Sequence[str]) -> None:
    """Extracts and audits the states of one run."""
    options = plain(Options, argv)
    settings = pipeline.Extract(options.panel, options.name, options.tokens, options.batch_size)
    pipeline.extract(options.run, settings, options.workdir, options.overwrite, observer=SHOWING)


if __name__ == "__main__":
    run(main)
