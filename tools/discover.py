"""`python -m tools.discover --config configs/discover/factor_market.py`: factors discovered, judged, on one page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from configs.files import source_text
from configs.schema.discover import Discover, FactorModel
from configs.schema.pretrain import Pretrain
from encoders.checkpoint import Checkpoint
from encoders.factor_model import FactorModel as Explains
from encoders.pipeline import FrozenEncoder
from encoders.vae import VAE
from encoders.vae_networks import Sectors
from evaluation.factor_report import report
from evaluation.factor_study import FactorStudy, Known, Modelled, measured
from evaluation.formats import number, percent
from market.arrays import FloatArray, IntArray
from market.known_factors import FactorSource, FactorTable, read_sectors
from market.panel import Panel
from market.scaling import AffineScaler
from market.storage import write_json, write_text
from tools.cli import configured, progress, run
from tools.prepare import prepare
from tools.runs.directory import claimed, opened
from tools.runs.stages import pretrained_encoder

RESULT = "metrics.json"
BLOCK = 256  # days looked at together


@dataclass(frozen=True)
class Options:
    """Options beside the study."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Judge again although there is a page; models that are trained are kept."""


def main(argv: Sequence[str]) -> None:
    """Trains every model that is not trained yet, judges them, and writes the page."""
    experiment, options = configured(Discover, Options, argv, "configs/discover")
    workdir = Path(options.workdir)
    folder = workdir / "discover" / experiment.name
    with claimed(folder):
        opened(folder, experiment, RESULT, options.overwrite)
        study = studied(experiment, workdir)
        metrics = measured(study)
        write_text(folder / "report.html", report(study, metrics))
        write_json(folder / RESULT, metrics)
    show(metrics, experiment.name)
    print(f"wrote {folder / 'report.html'}")


def studied(experiment: Discover, workdir: Path) -> FactorStudy:
    """Returns what the trained models say of every day, beside what is known."""
    source = experiment.panel or str(workdir / "data" / _prepared_name(experiment) / "panel.safetensors")
    if experiment.panel is None and experiment.prepare is not None:
        prepare(experiment.prepare, workdir, overwrite=False)
    panel = Panel.load(source)
    known = known_on(experiment, panel)  # before anything is trained: a mistake in it should not cost an hour
    runs = [pretraining(experiment, model, source, panel) for model in experiment.models]
    folders = [pretrained_encoder(one, workdir) for one in runs]
    days = experiment.split.days(panel.dates, experiment.label.span)
    models = [
        modelled(model.name, one, folder, panel, days.test, experiment)
        for model, one, folder in zip(experiment.models, runs, folders, strict=True)
    ]
    names = ", ".join(model.name for model in models)
    return FactorStudy(
        title=f"Discovered factors: {experiment.name}",
        lead=f"{names} on {len(panel.assets)} assets, judged on days that no model was fitted or chosen on: "
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


def pretraining(experiment: Discover, model: FactorModel, source: str, panel: Panel) -> Pretrain:
    """Returns the run that trains a model of the study.

    Raises:
        ValueError: The table of sectors lacks an asset.
    """
    encoder = model.encoder
    if experiment.sectors is not None and isinstance(encoder, VAE) and encoder.condition is not None:
        encoder = replace(encoder, condition=Sectors(read_sectors(experiment.sectors, panel.assets)))
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


def known_on(experiment: Discover, panel: Panel) -> Known | None:
    """Returns the known factors on the days of the panel, None where there are none."""
    source: FactorSource | None = experiment.known
    if experiment.factor_table is not None:
        source = FactorTable(experiment.factor_table)
    if source is None:
        return None
    truth = source.truth()
    return Known(truth.names, truth.on(panel.dates), truth.loadings_of(panel.assets))


def raw_returns(experiment: Discover, panel: Panel) -> FloatArray:
    """Returns ``[T, N]`` the feature that the models read, unscaled; NaN where it is unknown or nothing is listed."""
    values = experiment.features.compute(panel).values[..., 0].astype(np.float64)
    return np.where(panel.listed & np.isfinite(values), values, np.nan)


def modelled(name: str, experiment: Pretrain, folder: Path, panel: Panel, test: slice, study: Discover) -> Modelled:
    """Returns what a trained model says of every day, and the days that it invents.

    Raises:
        ValueError: The encoder is no factor model, or its returns are scaled in a way that cannot be undone.
    """
    checkpoint = Checkpoint.load(folder / "model.safetensors")
    frozen = checkpoint.restore(experiment.encoder, experiment.features, experiment.scaling)
    encoder, scaler = frozen.encoder, frozen.pipeline.scaler
    if not isinstance(encoder, Explains):
        raise ValueError(f"{name}: {type(encoder).__name__} explains no returns by factors; use PCA or a VAE")
    if not isinstance(scaler, AffineScaler):
        raise ValueError(f"{name}: scaling {type(scaler).__name__} cannot be undone; use RobustZScore(clip=None)")
    factors, loadings, rebuilt = _said(frozen, encoder, panel, test, name)
    drawn = _drawn(frozen, encoder, panel, checkpoint.about["train_rows"], study)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    condition = experiment.encoder.condition if isinstance(experiment.encoder, VAE) else None
    ci = metrics["test"]["rank_ic_ci"]
    return Modelled(
        name=name,
        factors=factors,
        loadings=loadings,
        rebuilt=rebuilt * scaler.scale[0] + scaler.centre[0],
        drawn=drawn * scaler.scale[0] + scaler.centre[0],
        history=[json.loads(line) for line in lines],
        rank_ic=(metrics["test"]["rank_ic"], None if ci is None else (ci[0], ci[1])),
        given="" if condition is None else f"the mean returns of {len(condition.names)} sectors",
    )


def _said(
    frozen: FrozenEncoder, encoder: Explains, panel: Panel, test: slice, name: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Factors ``[T, K]`` and rebuilt returns ``[T, N]`` of every day, mean loadings ``[N, K]`` of the test days."""
    store = frozen.store(panel)
    days = np.arange(frozen.pipeline.lookback - 1, len(panel))
    blocks = [days[start : start + BLOCK] for start in range(0, len(days), BLOCK)]
    width = frozen.rows(store, days[:1]).market.shape[1]
    factors, rebuilt = np.full((len(panel), width), np.nan), np.full(panel.shape[:2], np.nan)
    total, count = np.zeros((len(panel.assets), width)), np.zeros((len(panel.assets), 1))
    for block in progress(blocks, len(blocks), f"{name}: every day"):
        rows = frozen.rows(store, block)
        window = store.gather(torch.from_numpy(block))
        factors[block] = rows.market
        rebuilt[block] = encoder.rebuild(window.features, window.mask).cpu().numpy()
        judged = (block >= test.start) & (block < test.stop)
        total += rows.asset[judged].sum(axis=0)
        count += rows.mask[judged].sum(axis=0)[:, None]
    return factors, total / np.maximum(count, 1), rebuilt


def _drawn(frozen: FrozenEncoder, encoder: Explains, panel: Panel, train: Sequence[int], study: Discover) -> FloatArray:
    """Invented days ``[S, N]``; what a model is given comes from train days that are drawn anew."""
    store = frozen.store(panel)
    days = np.arange(max(train[0], frozen.pipeline.lookback - 1), train[1])
    chosen: IntArray = np.random.default_rng(study.seed).choice(days, study.draws)
    generator = torch.Generator().manual_seed(study.seed)
    parts = []
    for start in range(0, len(chosen), BLOCK):
        window = store.gather(torch.from_numpy(chosen[start : start + BLOCK]))
        everyone = torch.ones_like(window.mask)  # an invented day has every asset
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


def show(metrics: dict[str, Any], name: str) -> None:
    """Prints one row a model."""
    table = Table(title=f"Discovered factors: {name}, test days")
    matched = metrics["known"] is not None
    for column in ("model", *(("found", "mean |corr|") if matched else ()), "rebuilt", "kurtosis", "corr. distance"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for model, one in metrics["models"].items():
        cells = [model]
        if matched:
            cells += [f"{one['matching']['found']} of {len(metrics['known'])}", number(one["matching"]["mean"])]
        invented = one["scenarios"]
        cells += [percent(one["reconstruction"]["test"]), number(invented["portfolio"]["kurtosis"])]
        table.add_row(*cells, number(invented["correlation_distance"]["test"], 3))
    Console().print(table)


def _prepared_name(experiment: Discover) -> str:
    return "" if experiment.prepare is None else experiment.prepare.name


if __name__ == "__main__":
    run(main)
