"""`python -m tools.compare --configs configs/pretrain/csi300_*.py --seeds 0 1 2 --reference csi300_lightgbm`.

Many runs, one table: encoders by their forecasts, trading runs beside buy and hold, and with `--ablation` what states
add to one agent. Runs that are not trained yet are trained, and runs that are not evaluated yet are evaluated, so this
is also the command that runs a list of configurations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from configs.files import load_python
from configs.paths import located
from configs.schema.evaluate import Evaluate
from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.variation import parsed, varied
from market.storage import write_json
from tools.cli import plain, run
from tools.comparison import ablation, forecasts, trading
from tools.console import show
from tools.runs.stages import trained_agents
from tools.runs.trials import METRICS

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Options:
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


def main(argv: Sequence[str]) -> None:
    """Compares encoders, agents, or what one agent makes of several kinds of states."""
    options = plain(Options, argv)
    check_folder_name("compare", options.name)
    if options.ablation:
        _ablate(options)
        return
    workdir = Path(options.workdir)
    encoders, agents = _runs(options, workdir)
    result: dict[str, Any] = {}
    target = workdir / "evaluate" / options.name
    if options.reference is not None and not encoders:
        raise ValueError(
            "--reference names an encoder, but no encoders are compared; add them with --configs or --runs"
        )
    if encoders:
        result["forecasts"] = forecasts.compare_encoders(encoders, target, options.reference, options.name)
        _show_encoders(result["forecasts"])
    if agents:
        settings = evaluation_settings(options)
        found = {one.name: trading.evaluated(one, settings, workdir, options.overwrite) for one in agents}
        result["trading"] = [row for name, one in found.items() for row in trading.trading_rows(name, one)]
        show("Trading, test days, after costs", result["trading"])
    write_json(target / COMPARISON, result)
    print(f"wrote {target / (forecasts.REPORT if encoders else COMPARISON)}")


def evaluation_settings(options: Options) -> Evaluate:
    """Returns how trading runs are judged."""
    settings = Evaluate() if options.evaluate is None else load_python(options.evaluate, Evaluate)
    if options.index is not None:
        settings = replace(settings, index=options.index, index_asset=options.index_asset)
    elif options.index_asset is not None:
        settings = replace(settings, index_asset=options.index_asset)
    return located(settings, options.workdir)


def _runs(options: Options, workdir: Path) -> tuple[list[Path], list[Path]]:
    """Returns the directories of the encoders and of the trading runs that were named, all of them trained."""
    bases: list[Pretrain | Trade] = [load_python(path, Pretrain, Trade) for path in options.configs]
    values = parsed(options.vary)
    every = [one for base in bases for one in (varied(base, values) if values else [base])]
    experiments: list[Pretrain | Trade] = [located(one, workdir) for one in every]
    if not experiments and not options.runs:
        raise ValueError("nothing to compare: name configs with --configs or run directories with --runs")
    pretraining = [one for one in experiments if isinstance(one, Pretrain)]
    trades = [one for one in experiments if isinstance(one, Trade)]
    if options.seeds:
        trades = [replace(one, seeds=options.seeds) for one in trades]
    folders = [Path(one) for one in options.runs]
    named = [one for one in folders if (one / METRICS).exists()]  # only pretraining leaves its metrics in its run
    names = [*(one.name for one in pretraining), *(forecasts.base_name(one.name) for one in named)]
    forecasts.refuse_unknown(options.reference, names)  # before hours of training
    encoders = forecasts.trained_encoders(pretraining, options.seeds, workdir) if pretraining else []
    agents = [trained_agents(one, workdir) for one in trades]
    return [*encoders, *named], [*agents, *(one for one in folders if one not in named)]


def _show_encoders(result: dict[str, Any]) -> None:
    for part in ("valid", "test"):
        show(f"Forecasts, {part} days", forecasts.forecast_rows(result, part))
    for rule in next(iter(result["encoders"].values()))["trading"]:
        show(f"Trading on them, {rule}, test days, after costs", forecasts.trading_rows(result, rule))


def _ablate(options: Options) -> None:
    if options.config is None:
        raise ValueError("--ablation varies one run: name it with --config configs/trade/...")
    experiment = located(load_python(options.config, Trade), options.workdir)
    if options.seeds:
        experiment = replace(experiment, seeds=options.seeds)
    settings, workdir = evaluation_settings(options), Path(options.workdir)
    rows, target = ablation.ablate(experiment, settings, workdir, options.pca, options.overwrite)
    show(f"{ablation.title(experiment)}, {len(experiment.seeds)} seeds, test days, after costs", rows)
    write_json(target / COMPARISON, {"ablation": rows})
    print(f"wrote {target / 'report.html'}")


if __name__ == "__main__":
    run(main)
