"""`python -m tools.compare --configs configs/pretrain/csi300_*.py --seeds 0 1 2`: runs side by side, day by day.

Many runs, one table: encoders by their forecasts, trading runs beside buy and hold, and with `--ablation` what states
add to one agent. Runs that are not trained yet are trained, and runs that are not evaluated yet are evaluated, so this
is also the command that runs a list of configurations.

It evaluates on the test days, and each look at them is counted beside the panel, as `evaluate` does. To choose
settings, use `sweep`, or `pretrain` without `--test`: both look at the valid days alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import pipeline
from tools.command import SHOWING, plain, run
from tools.engines import EngineOptions

if TYPE_CHECKING:
    from configs.schema.evaluate import Evaluate

S = TypeVar("S")


@dataclass(frozen=True)
class Options(EngineOptions):
    """Trains and evaluates what is not there yet, and prints one table of encoders and one of trading runs."""

    configs: tuple[str, ...] = ()
    """Pretraining or trading configs to run and compare."""
    vary: tuple[str, ...] = ()
    """Runs every config once for each combination of values, such as asset=AAPL,IBM."""
    runs: tuple[str, ...] = ()
    """Directories of pretraining or trading runs to compare."""
    seeds: tuple[int, ...] = ()
    """Seeds to train every config with; by default those that it names."""
    reference: str | None = None
    """Encoder that the others are paired with day by day, such as csi300_lightgbm."""
    ablation: bool = False
    """Compare agents on learned states, PCA states, raw features, shuffled states and no states."""
    config: str | None = None
    """Trading config of the ablation: the agent, market and seeds that all variants share."""
    pca: str | None = None
    """States file of a PCA encoder for the ablation; if not given it is made of the panel and days of the others."""
    evaluate: str | None = None
    """Evaluation config for trading runs, such as configs/evaluate/dj30.py."""
    index: str | None = None
    """Panel file with a published index to set beside trading runs; overrides that of the evaluation config."""
    index_asset: str | None = None
    """Name of the index in that panel; may be left out where it holds only one."""
    name: str = "comparison"
    """Folder under workdir/evaluate that receives comparison.json and, of encoders, report.html."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Evaluate again what has been evaluated."""
    export: tuple[Literal["csv", "xlsx", "latex"], ...] = ()
    """Also write the tables into the folder export of the comparison: all measures as numbers (csv, xlsx), or the
    printed tables (latex)."""


def main(argv: Sequence[str]) -> None:
    """Compares encoders, agents, or what one agent makes of several kinds of states."""
    options = plain(Options, argv)
    from configs.schema.names import check_folder_name

    check_folder_name("compare", options.name)
    page = _ablate(options) if options.ablation else _compare(options)
    print(f"wrote {page}")


def evaluation_settings(options: Options) -> "Evaluate | None":
    """Returns how trading runs are evaluated, None where nothing is said of it."""
    if options.evaluate is None and options.index is None and options.index_asset is None:
        return None
    from configs.files import load_python
    from configs.paths import located
    from configs.schema.evaluate import Evaluate

    settings = Evaluate() if options.evaluate is None else load_python(options.evaluate, Evaluate)
    if options.index is not None:
        settings = replace(settings, index=options.index, index_asset=options.index_asset)
    elif options.index_asset is not None:
        settings = replace(settings, index_asset=options.index_asset)
    return located(settings, options.workdir)


def _compare(options: Options) -> object:
    from configs.paths import located
    from configs.schema.pretrain import Pretrain
    from configs.schema.trade import Trade

    schemas: tuple[type[Pretrain | Trade], ...] = (Pretrain, Trade)
    every = experiments(options.configs, options.vary, *schemas)
    asked = (options.runs, options.seeds, options.reference, evaluation_settings(options), options.workdir)
    how = (options.name, options.overwrite, SHOWING, options.chosen())
    result = pipeline.compare([located(one, options.workdir) for one in every], *asked, *how)
    _say(pipeline.export_comparison(result, options.export))
    return result.page


def experiments(paths: Sequence[str], vary: Sequence[str], *schemas: type[S]) -> list[S]:
    """Returns the experiments of some configs, each once for every combination of the values to vary."""
    from configs.files import load_python
    from configs.variation import parsed, varied

    bases = [load_python(path, *schemas) for path in paths]
    return [one for base in bases for one in (varied(base, parsed(vary)) if vary else [base])]


def _say(paths: Sequence[Path]) -> None:
    for path in paths:
        print(f"wrote {path}")


def _ablate(options: Options) -> object:
    from configs.files import load_python
    from configs.paths import located
    from configs.schema.trade import Trade

    if options.config is None:
        raise ValueError("--ablation varies one run: name it with --config configs/trade/...")
    experiment = located(load_python(options.config, Trade), options.workdir)
    if options.seeds:
        experiment = replace(experiment, seeds=options.seeds)
    settings = evaluation_settings(options)
    result = pipeline.ablate(
        experiment, settings, options.workdir, options.pca, options.overwrite, SHOWING, options.chosen()
    )
    _say(pipeline.export_comparison(result, options.export))
    return result.page


if __name__ == "__main__":
    run(main)
