"""`python -m tools.prepare --config configs/prepare/bundled.py`: any source to a clean panel."""

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
    """Replace a panel that is already there."""


def main(argv: Sequence[str]) -> None:
    """Reads, cleans and saves one panel."""
    from configs.schema.prepare import Prepare

    experiment, options = configured(Prepare, Options, argv, "configs/prepare")
    pipeline.prepare(experiment, Path(options.workdir), options.overwrite, observer=SHOWING)


if __name__ == "__main__":
    run(main)
