"""`accelerate launch -m tools.pretrain --config configs/pretrain/dj30_storm_dual.py`: prices to a trained encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from tools.command import SHOWING, configurations, run
from tools.engines import EngineOptions


@dataclass(frozen=True)
class Options(EngineOptions):
    """Options beside the experiment."""

    tracker: tuple[str, ...] = ("tensorboard",)
    """Where curves are shown: tensorboard, whose files are always written, and trackio, mlflow or wandb beside it."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a run that is already there, finished or not."""
    test: bool = False
    """Evaluate the best checkpoint on the test days too; each such look is counted beside the panel."""


def main(argv: Sequence[str]) -> None:
    """Pretrains the encoder of each experiment; an interrupted run continues."""
    from configs.schema.pretrain import Pretrain

    experiments, options = configurations(Pretrain, Options, argv, "configs/pretrain")
    how = (options.overwrite, options.test, SHOWING, options.chosen(), options.tracker)
    pipeline.pretrain_many(experiments, Path(options.workdir), *how)
    pipeline.leave_process_group()


if __name__ == "__main__":
    run(main)
