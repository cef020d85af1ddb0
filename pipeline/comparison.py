"""The stage that compares many runs: encoders by their forecasts, trading runs beside buy and hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.schema.evaluate import Evaluate
from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from market.artifacts import COMPARISON, METRICS
from market.storage.array_file import write_json
from pipeline.agent_comparison import compare_agents, train_all
from pipeline.encoder_comparison import compare_encoders, encoder_names, pretrain_all, refuse_unknown
from pipeline.results import SILENT, ComparisonResult, Observer
from pipeline.run_directory import evaluate_folder


def compare(
    experiments: Sequence[Pretrain | Trade] = (),
    runs: Sequence[str | Path] = (),
    seeds: Sequence[int] = (),
    reference: str | None = None,
    settings: Evaluate | None = None,
    workdir: str | Path = "workdir",
    name: str = "comparison",
    overwrite: bool = False,
    observer: Observer = SILENT,
) -> ComparisonResult:
    """Compares encoders and trading runs, and writes both tables to ``workdir/evaluate/<name>/comparison.json``.

    Everything that is not trained yet is trained first. The arguments are those of `compare_encoders` and
    `compare_agents`.

    Raises:
        ValueError: There is nothing to compare, or as `compare_encoders` and `compare_agents` do.
    """
    check_folder_name("compare", name)
    if not experiments and not runs:
        raise ValueError("nothing to compare: name configs with --configs or run directories with --runs")
    given = [Path(one) for one in runs]
    pretrained = [one for one in given if (one / METRICS).exists()]  # only pretraining leaves its metrics in its run
    pretraining = [one for one in experiments if isinstance(one, Pretrain)]
    trades = [one for one in experiments if isinstance(one, Trade)]
    refuse_unknown(reference, encoder_names(pretraining, pretrained))  # before hours of training
    encoders = [*pretrain_all(pretraining, seeds, workdir, observer), *pretrained]
    agents = [*train_all(trades, seeds, workdir, observer), *(one for one in given if one not in pretrained)]
    result = ComparisonResult(
        evaluate_folder(workdir, name),
        compare_encoders((), encoders, (), reference, workdir, name, observer) if encoders else None,
        compare_agents((), agents, (), settings, workdir, overwrite, observer) if agents else None,
    )
    write_json(result.folder / COMPARISON, _tables(result))
    observer.finished(result)
    return result


def _tables(result: ComparisonResult) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    if result.encoders is not None:
        tables["forecasts"] = result.encoders.measures
    if result.agents is not None:
        tables["trading"] = result.agents.rows
    return tables
