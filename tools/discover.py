"""`python -m tools.discover --config configs/discover/factor_market.py`: factors discovered, evaluated, on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from tools.command import SHOWING, configured, run


@dataclass(frozen=True)
class Options:
    """Options beside the study."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Evaluate again although there is a page; models that are trained are kept."""


def main(argv: Sequence[str]) -> None:
    """Trains every model that is not trained yet, evaluates them, and writes the page."""
    from configs.schema.discover import Discover

    experiment, options = configured(Discover, Options, argv, "configs/discover")
    result = pipeline.discover(experiment, Path(options.workdir), options.overwrite, SHOWING)
    print(f"wrote {result.page}")


if __name__ == "__main__":
    run(main)
