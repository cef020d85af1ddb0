"""`python -m tools.train --config configs/trade/ppo_single.py --vary asset=AAPL,IBM`: states to trained agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from configs.schema.trade import Trade
from tools.cli import configurations, run
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
    """Trains one agent for each seed of each experiment; an interrupted run continues."""
    experiments, options = configurations(Trade, Options, argv, "configs/trade")
    many = len(experiments) > 1
    for one in experiments:
        workdir, how = Path(options.workdir), (options.device, options.threads)
        pipeline.train(one, workdir, options.overwrite, many, *how, SHOWING)


if __name__ == "__main__":
    run(main)
