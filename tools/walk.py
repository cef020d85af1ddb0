"""`python -m tools.walk --config configs/walk/csi300_ridge_walk.py`: an encoder refitted on a calendar."""

from collections.abc import Sequence
from dataclasses import dataclass

import pipeline
from tools.command import SHOWING, configured, run
from tools.engines import EngineOptions


@dataclass(frozen=True)
class Options(EngineOptions):
    """Options beside the walk."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away the walk and all its refits, and begin again."""


def main(argv: Sequence[str]) -> None:
    """Refits an encoder and stitches its states; an interrupted walk, or one with new days, continues."""
    from configs.schema.walk import Walk

    experiment, options = configured(Walk, Options, argv, "configs/walk")
    pipeline.walk(experiment, options.workdir, options.overwrite, SHOWING, options.chosen())
    pipeline.leave_process_group()


if __name__ == "__main__":
    run(main)
