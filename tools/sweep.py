"""`python -m tools.sweep --config configs/sweep/dj30_storm.py`: hyper-parameters with the best metric on valid days."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from tools.command import SHOWING, configured, run
from tools.engines import EngineOptions

CONFIGS = "configs/sweep"


@dataclass(frozen=True)
class Options(EngineOptions):
    """Options beside the sweep."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a sweep that is already there, finished or not."""


def main(argv: Sequence[str]) -> None:
    """Runs one sweep; an interrupted one continues, in the middle of the trial that was under way."""
    from configs.schema.sweep import Sweep

    experiment, options = configured(Sweep, Options, argv, CONFIGS)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    result = pipeline.sweep(experiment, Path(options.workdir), options.overwrite, SHOWING, options.chosen())
    print(f"the best is {result.best}, ready for tools.pretrain")


if __name__ == "__main__":
    run(main)
