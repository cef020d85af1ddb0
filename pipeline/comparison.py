"""The stage that compares many runs: encoders by their forecasts, trading runs beside buy and hold."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from configs.files import refuse_untrusted
from configs.schema.evaluate import Evaluate
from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from market.artifacts import COMPARISON, METRICS
from market.storage.array_file import write_json
from pipeline.agent_comparison import compare_agents, train_jobs
from pipeline.encoder_comparison import compare_encoders, encoder_names, pretrain_jobs, refuse_unknown, runs_of
from pipeline.jobs.engine import HERE, Engine, execute
from pipeline.jobs.job import Job, connected
from pipeline.jobs.stages import ExtractJob, states_of
from pipeline.results import SILENT, ComparisonResult, Observer
from pipeline.run_directory import evaluate_folder, pretrain_folder, trade_folder


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
    engine: Engine = HERE,
) -> ComparisonResult:
    """Compares encoders and trading runs, and writes both tables to ``workdir/evaluate/<name>/comparison.json``.

    Everything that is not trained yet is trained first; states that a trading run sees of an encoder in the same
    comparison are extracted in between. The arguments are those of `compare_encoders` and `compare_agents`.

    Raises:
        ValueError: There is nothing to compare, a config holds a class of a package that is not trusted; else
            as `compare_encoders` and `compare_agents` do.
    """
    check_folder_name("compare", name)
    if not experiments and not runs:
        raise ValueError("nothing to compare: name configs with --configs or run directories with --runs")
    given = [Path(one) for one in runs]
    pretrained = [one for one in given if (one / METRICS).exists()]  # only pretraining leaves its metrics in its run
    pretraining = [one for one in experiments if isinstance(one, Pretrain)]
    trades = [one for one in experiments if isinstance(one, Trade)]
    refuse_unknown(reference, encoder_names(pretraining, pretrained))  # before hours of training
    encoder_runs = runs_of(pretraining, seeds)
    agent_runs = [replace(one, seeds=tuple(seeds)) if seeds else one for one in trades]
    experiments = [*encoder_runs, *agent_runs]
    for one in experiments:
        refuse_untrusted(one, one.name)  # their runs are opened again once they are trained
    execute(training_jobs(encoder_runs, agent_runs, workdir, engine), engine, observer)
    encoders = [*(pretrain_folder(workdir, one.name) for one in encoder_runs), *pretrained]
    agents = [
        *(trade_folder(workdir, one.name) for one in agent_runs),
        *(one for one in given if one not in pretrained),
    ]
    index: dict[str, Any] = {} if settings is None else {"index": settings.index, "index_asset": settings.index_asset}
    result = ComparisonResult(
        evaluate_folder(workdir, name),
        compare_encoders((), encoders, (), reference, workdir, name, observer, **index) if encoders else None,
        compare_agents((), agents, (), settings, workdir, overwrite, observer, engine) if agents else None,
    )
    write_json(result.folder / COMPARISON, _tables(result))
    observer.finished(result)
    return result


def training_jobs(
    encoders: Sequence[Pretrain], agents: Sequence[Trade], workdir: str | Path, engine: Engine
) -> list[Job]:
    """Returns everything to train as jobs: encoders, their states where a trading run sees them, and agents."""
    pretraining, training = pretrain_jobs(encoders, workdir), train_jobs(agents, workdir, engine)
    seen = [states_of(one, encoders, workdir) for one in agents]
    extraction = [ExtractJob(f"extract {one.name}", str(workdir), one) for one in encoders if one in seen]
    return connected([*pretraining, *extraction, *training])


def _tables(result: ComparisonResult) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    if result.encoders is not None:
        tables["forecasts"] = result.encoders.measures
        tables["differences_of_encoders"] = result.encoders.differences
    if result.agents is not None:
        tables["trading"] = result.agents.rows
        tables["differences_of_agents"] = result.agents.differences
    return tables
