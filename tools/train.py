"""`python -m tools.train --config configs/trade/ppo_single.py --vary asset=AAPL,IBM`: states to trained agents."""

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
    device: str = "cpu"
    """Device of the networks; they are small, so a graphics card seldom helps."""


def main(argv: Sequence[str]) -> None:
    """Trains one agent for each seed of each experiment; an interrupted run continues."""
    from configs.schema.trade import Trade

    experiments, options = configurations(Trade, Options, argv, "configs/trade")
    how = (options.device, options.threads, SHOWING, options.chosen(), options.tracker)
    pipeline.train_many(experiments, Path(options.workdir), options.overwrite, *how)


if __name__ == "__main__":
    run(main)
