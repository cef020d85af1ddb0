"""`python -m tools.evaluate --run workdir/trade/dj30_AAPL_storm_dual_ppo`: trained agents to evidence on test days."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pipeline
from market.artifacts import METRICS
from tools.command import SHOWING, configured, run

CONFIGS = "configs/evaluate"
DEFAULT = Path(__file__).parent.parent / CONFIGS / "default.py"


@dataclass(frozen=True)
class Options:
    """Options beside the settings."""

    run: str = ""
    """Directory of the trading run."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Look at the test days again; the report then says how often they were looked at."""
    export: tuple[Literal["csv", "xlsx"], ...] = ()
    """Also write weights, trades, daily returns and forecasts as tables; of a run that has been evaluated nothing else
    is done, and its test days are not looked at again."""


def main(argv: Sequence[str]) -> None:
    """Evaluates one trading run on its test days."""
    from configs.schema.evaluate import Evaluate
    from pipeline.run_directory import evaluate_folder

    settings, options = configured(Evaluate, Options, with_default(argv), CONFIGS)
    if not options.run:
        raise ValueError("name a trading run with --run, such as workdir/trade/dj30_AAPL_storm_dual_ppo")
    folder = evaluate_folder(options.workdir, Path(options.run).resolve().name)
    if not (options.export and (folder / METRICS).exists() and not options.overwrite):
        result = pipeline.evaluate(options.run, settings, options.workdir, options.overwrite, observer=SHOWING)
        print(f"wrote {result.page}")
    for path in pipeline.export_evaluation(folder, options.export, options.run) if options.export else ():
        print(f"wrote {path}")


def with_default(argv: Sequence[str]) -> list[str]:
    """Returns the command line with the default settings where it names none."""
    named = any(argument == "--config" or argument.startswith("--config=") for argument in argv)
    return list(argv) if named else ["--config", str(DEFAULT), *argv]


if __name__ == "__main__":
    run(main)
