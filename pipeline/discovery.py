"""The stage that discovers factors: PCA and VAEs of the same returns, evaluated on one page."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from configs.files import source_text
from configs.paths import located
from configs.schema import discover as schema
from configs.schema.discover import Discover
from configs.schema.pretrain import Pretrain
from encoders.checkpoint import Checkpoint
from encoders.data import FrozenEncoder
from encoders.generative import GenerativeFactorModel
from encoders.vae.model import VAE
from encoders.vae.networks import SectorCondition
from evaluation.factor_study import FactorStudy, ModelResult, ReferenceFactors, measured
from evaluation.prediction import prediction_metrics
from evaluation.reports.factors import report
from market.arrays import FloatArray, IntArray
from market.artifacts import FORECASTS, HISTORY, METRICS, MODEL, PANEL, REPORT
from market.forecasts import ForecastRecord
from market.panel import Panel
from market.scaling.scalers import AffineScaler
from market.sources.known_factors import FactorSource, FactorTable, read_sectors
from market.storage.array_file import write_json, write_text
from market.storage.ledger import new_command
from pipeline.preparation import prepare
from pipeline.pretraining import enter_looks, pretrain
from pipeline.results import SILENT, DiscoverResult, Observer, Tracker
from pipeline.run_directory import begin, data_folder, discover_folder, lock

BLOCK = 256  # days looked at together


def discover(
    experiment: Discover, workdir: str | Path = "workdir", overwrite: bool = False, observer: Observer = SILENT
) -> DiscoverResult:
    """Trains every model that is not trained yet, evaluates them, and writes ``workdir/discover/<name>/report.html``.

    Args:
        experiment: The models and the market.
        workdir: Where the artifacts of all stages live.
        overwrite: Evaluate again although there is a page; models that are trained are kept.
        observer: Follows from outside.

    Raises:
        ValueError: Another process works on the folder, the study is finished or was started with another
            configuration, a file is bad, or an encoder is no factor model.
    """
    experiment = located(experiment, workdir)
    folder = discover_folder(workdir, experiment.name)
    with lock(folder):
        begin(folder, experiment, METRICS, overwrite)
        study = study_factors(experiment, workdir, observer)
        metrics = measured(study)
        write_text(folder / REPORT, report(study, metrics))
        write_json(folder / METRICS, metrics)
    result = DiscoverResult(folder, metrics)
    observer.finished(result)
    return result


def study_factors(experiment: Discover, workdir: str | Path, observer: Observer = SILENT) -> FactorStudy:
    """Returns what the trained models say of every day, beside what is known."""
    source = experiment.panel or str(data_folder(workdir, _prepared_name(experiment)) / PANEL)
    if experiment.panel is None and experiment.prepare is not None:
        prepare(experiment.prepare, workdir, observer=observer)
    panel = Panel.load(source)
    known = known_factors(experiment, panel)  # before anything is trained: a mistake in it should not cost an hour
    runs = [pretraining(experiment, model, source, panel) for model in experiment.models]
    folders = [pretrain(one, workdir, reuse=True, observer=observer).folder for one in runs]
    command = new_command()
    for one in runs:
        enter_looks(one, one.name, "discover", ("test",), command)
    days = experiment.split.days(panel.dates, experiment.label.span)
    models = [
        read_model(model.name, one, folder, panel, days.test, experiment, observer.track)
        for model, one, folder in zip(experiment.models, runs, folders, strict=True)
    ]
    names = ", ".join(model.name for model in models)
    return FactorStudy(
        title=f"Discovered factors: {experiment.name}",
        lead=f"{names} on {len(panel.assets)} assets, evaluated on days that no model was fitted or chosen on: "
        f"{panel.dates[days.test][0]} to {panel.dates[days.test][-1]}",
        facts=facts(experiment, source, panel, folders),
        dates=panel.dates,
        assets=panel.assets,
        returns=raw_returns(experiment, panel),
        parts={"train": days.train, "valid": days.valid, "test": days.test},
        models=tuple(models),
        known=known,
        threshold=experiment.threshold,
        config=source_text(experiment),
    )


def pretraining(experiment: Discover, model: schema.DiscoverModel, source: str, panel: Panel) -> Pretrain:
    """Returns the run that trains a model of the study.

    Raises:
        ValueError: The table of sectors lacks an asset.
    """
    encoder = model.encoder
    if experiment.sectors is not None and isinstance(encoder, VAE) and encoder.condition is not None:
        encoder = replace(encoder, condition=SectorCondition(read_sectors(experiment.sectors, panel.assets)))
    return Pretrain(
        name=f"discover_{experiment.name}_{model.name.replace(' ', '_')}",
        panel=source,
        encoder=encoder,
        split=experiment.split,
        features=experiment.features,
        scaling=experiment.scaling,
        label=experiment.label,
        optim=experiment.optim,
        seed=experiment.seed,
    )


def known_factors(experiment: Discover, panel: Panel) -> ReferenceFactors | None:
    """Returns the known factors on the days of the panel, None where there are none."""
    source: FactorSource | None = experiment.known
    if experiment.factor_table is not None:
        source = FactorTable(experiment.factor_table)
    if source is None:
        return None
    truth = source.truth()
    return ReferenceFactors(truth.names, truth.on(panel.dates), truth.loadings_of(panel.assets))


def raw_returns(experiment: Discover, panel: Panel) -> FloatArray:
    """Returns ``[T, N]`` the feature that the models read, unscaled; NaN where it is unknown or nothing is listed."""
    values = experiment.features.compute(panel).values[..., 0].astype(np.float64)
    return np.where(panel.listed & np.isfinite(values), values, np.nan)


def read_model(
    name: str, experiment: Pretrain, folder: Path, panel: Panel, test: slice, study: Discover, track: Tracker
) -> ModelResult:
    """Returns what a trained model says of every day, and the days that it invents.

    Raises:
        ValueError: The encoder is no factor model, or its returns are scaled in a way that cannot be undone.
    """
    checkpoint = Checkpoint.load(folder / MODEL)
    frozen = checkpoint.restore(experiment.encoder, experiment.features, experiment.scaling)
    encoder, scaler = frozen.encoder, frozen.pipeline.scaler
    if not isinstance(encoder, GenerativeFactorModel):
        raise ValueError(f"{name}: {type(encoder).__name__} explains no returns by factors; use PCA or a VAE")
    if not isinstance(scaler, AffineScaler):
        raise ValueError(f"{name}: scaling {type(scaler).__name__} cannot be undone; use RobustZScore(clip=None)")
    factors, loadings, rebuilt = _explained(frozen, encoder, panel, test, name, track)
    drawn = _simulated(frozen, encoder, panel, checkpoint.about["train_rows"], study)
    forecasts = ForecastRecord.load(folder / FORECASTS).over(panel)
    returns = replace(experiment.label, transform=None).compute(panel)
    measures = prediction_metrics(
        forecasts.mean[test], returns[test], forecasts.mask[test], horizon=experiment.label.horizon
    )
    lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    condition = experiment.encoder.condition if isinstance(experiment.encoder, VAE) else None
    ci = measures["rank_ic_ci"]
    return ModelResult(
        name=name,
        factors=factors,
        loadings=loadings,
        rebuilt=rebuilt * scaler.scale[0] + scaler.centre[0],
        drawn=drawn * scaler.scale[0] + scaler.centre[0],
        history=[json.loads(line) for line in lines],
        rank_ic=(measures["rank_ic"], None if ci is None else (ci[0], ci[1])),
        given="" if condition is None else f"the mean returns of {len(condition.names)} sectors",
    )


def _explained(
    frozen: FrozenEncoder, encoder: GenerativeFactorModel, panel: Panel, test: slice, name: str, track: Tracker
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Factors ``[T, K]`` and rebuilt returns ``[T, N]`` of every day, mean loadings ``[N, K]`` of the test days."""
    store = frozen.store(panel)
    days = np.arange(frozen.pipeline.lookback - 1, len(panel))
    blocks = [days[start : start + BLOCK] for start in range(0, len(days), BLOCK)]
    width = frozen.rows(store, days[:1]).market.shape[1]
    factors, rebuilt = np.full((len(panel), width), np.nan), np.full(panel.shape[:2], np.nan)
    total, count = np.zeros((len(panel.assets), width)), np.zeros((len(panel.assets), 1))
    for block in track(blocks, len(blocks), f"{name}: every day"):
        rows = frozen.rows(store, block)
        window = store.gather(torch.from_numpy(block))
        factors[block] = rows.market
        rebuilt[block] = encoder.reconstruct(window.features, window.mask).cpu().numpy()
        on_test = (block >= test.start) & (block < test.stop)
        total += rows.asset[on_test].sum(axis=0)
        count += rows.mask[on_test].sum(axis=0)[:, None]
    return factors, total / np.maximum(count, 1), rebuilt


def _simulated(
    frozen: FrozenEncoder, encoder: GenerativeFactorModel, panel: Panel, train: Sequence[int], study: Discover
) -> FloatArray:
    """Simulated days ``[S, N]``; what a model is given comes from train days that are drawn anew."""
    store = frozen.store(panel)
    days = np.arange(max(train[0], frozen.pipeline.lookback - 1), train[1])
    chosen: IntArray = np.random.default_rng(study.seed).choice(days, study.draws)
    generator = torch.Generator().manual_seed(study.seed)
    parts = []
    for start in range(0, len(chosen), BLOCK):
        window = store.gather(torch.from_numpy(chosen[start : start + BLOCK]))
        everyone = torch.ones_like(window.mask)  # a simulated day has every asset
        parts.append(encoder.draw(window.features, everyone, generator).double().cpu().numpy())
    return np.concatenate(parts)


def facts(experiment: Discover, source: str, panel: Panel, folders: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Returns names and texts for the page."""
    split = experiment.split
    known = experiment.factor_table or (type(experiment.known).__name__ if experiment.known else "none")
    return (
        ("panel", f"{source}: {len(panel.assets)} assets, {panel.dates[0]} to {panel.dates[-1]}"),
        *((f"{part} days", " to ".join(getattr(split, part))) for part in ("train", "valid", "test")),
        ("known factors", known),
        ("runs", ", ".join(str(folder) for folder in folders)),
    )


def _prepared_name(experiment: Discover) -> str:
    return "" if experiment.prepare is None else experiment.prepare.name
