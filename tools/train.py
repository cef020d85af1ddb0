"""`python -m tools.train --config configs/trade/dj30_AAPL_storm_dual_ppo.py`: states to trained agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from configs.schema.trade import Trade
from tools.cli import configured, run
from tools.tables import SHOWING


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Throw away a run that is already there, finished or not."""
    device: str = "cpu"
    """Device of the networks; they are small, so a graphics card seldom helps."""
    threads: int = 1
    """Threads of one training; more than one changes the last bits of results and seldom helps."""


def main(argv: Sequence[str]) -> None:
    """Trains one agent for each seed; an interrupted run continues."""
    experiment, options = configured(Trade, Options, argv, "configs/trade")
    pipeline.train(
        experiment,
        Path(options.workdir),
        options.overwrite,
        device=options.device,
        threads=options.threads,
        observer=SHOWING,
    )


if __name__ == "__main__":
    run(main)
