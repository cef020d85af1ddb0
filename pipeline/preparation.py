"""Stages that make panels: any source, or bars from Yahoo Finance, to one clean panel; and a look at what it holds."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from configs import files
from configs.schema.prepare import Prepare
from configs.values import to_data, upgraded
from envs.rules import RECORDED
from evaluation.reports.panel import page, summarise
from market.artifacts import PANEL, QUALITY
from market.panel import Panel
from market.preparation.continuation import continued
from market.preparation.lists import read_membership, read_splits
from market.preparation.prepare import prepared
from market.preparation.quality import Report
from market.sources.content import content_digest, describe_difference, described_content
from market.sources.yahoo.source import YFinance
from market.storage.array_file import read_header, read_json, write_json, write_text
from pipeline.results import SILENT, InspectResult, Observer, PrepareResult
from pipeline.run_directory import data_folder, lock

logger = logging.getLogger(__name__)


def prepare(
    experiment: Prepare,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    read: Callable[[], pd.DataFrame] | None = None,
    observer: Observer = SILENT,
) -> PrepareResult:
    """Writes ``workdir/data/<name>/``: the panel last, so that a folder with a panel is complete.

    A panel that this very configuration made is left alone and returned.

    Args:
        experiment: What to prepare.
        workdir: Where the artifacts of all stages live.
        overwrite: Replace a panel that is already there. Where it had the same days and more have come, known days
            keep their prices, though a vendor has restated them by a factor (`market.preparation.continuation`).
        read: Reads the bars in the place of `experiment.source`.
        observer: Follows from outside.

    Raises:
        ValueError: Another process works on the folder, it holds a panel that another config made, or the data are bad.
    """
    folder = data_folder(workdir, experiment.name)
    with lock(folder):
        result = _prepare(experiment, folder, overwrite, read or experiment.source.read)
    observer.finished(result)
    return result


def download(
    experiment: Prepare,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    allow_missing: bool = False,
    observer: Observer = SILENT,
) -> PrepareResult:
    """Downloads bars that the cache lacks from Yahoo Finance, then cleans and saves the panel as `prepare` does.

    An experiment without a last day has new bars every day, so its own panel is made again.

    Args:
        experiment: What to prepare; its source is `YFinance`.
        workdir: Where the artifacts of all stages live.
        overwrite: Replace a panel that another config made.
        allow_missing: Leave out tickers that Yahoo has no bars of, instead of failing with their names.
        observer: Follows from outside.

    Raises:
        ValueError: The source is another one, a ticker has no bars, or as `prepare` does.
    """
    source = experiment.source
    if not isinstance(source, YFinance):
        raise ValueError(f"{experiment.name}: source is {type(source).__name__}, which tools.prepare reads; use that")
    if allow_missing:
        source = replace(source, allow_missing=True)
        experiment = replace(experiment, source=source)
    target = data_folder(workdir, experiment.name) / PANEL
    grows = source.stop is None and target.exists() and made_by(experiment, target)

    def read() -> pd.DataFrame:
        return source.read(track=lambda batches: observer.track(batches, len(batches), "batches from Yahoo"))

    return prepare(experiment, workdir, overwrite or grows, read, observer)


def inspect_panel(path: str | Path, moves: int = 10, html: str | Path | None = None) -> InspectResult:
    """Summarises a panel file and the quality report beside it, and draws them to a page where `html` names one.

    Args:
        path: Panel file.
        moves: Number of largest moves in the summary.
        html: Page to write; None for none.

    Raises:
        ValueError: The panel or the report beside it is missing or damaged.
    """
    panel, quality = Panel.load(path), _quality_beside(Path(path))
    if html is not None:
        write_text(html, page(panel, quality, str(path)))
    return InspectResult(Path(path), panel, summarise(panel, moves), quality)


def made_by(experiment: Prepare, target: Path) -> bool:
    """Tells whether the panel at `target` names `experiment` as the config that made it."""
    config = read_header(target)["source"].get("config")
    try:
        return isinstance(config, dict) and upgraded(config) == to_data(experiment)
    except ValueError:  # of a class or field that is unknown, so it is none of this config
        return False


def _prepare(experiment: Prepare, folder: Path, overwrite: bool, read: Callable[[], pd.DataFrame]) -> PrepareResult:
    target = folder / PANEL
    digest = content_digest([getattr(experiment.source, "path", None), experiment.membership, experiment.splits])
    if target.exists() and not overwrite:
        if not made_by(experiment, target):
            raise ValueError(
                f"{target}: exists and was made by another config; choose another --name or add --overwrite"
            )
        _refuse_changed_content(target, digest, read)
        return PrepareResult(target, Panel.load(target), None)
    membership = read_membership(experiment.membership) if experiment.membership else None
    splits = read_splits(experiment.splits) if experiment.splits else None
    frame = read()
    panel, quality = prepared(
        frame,
        replace(experiment.rules, ragged="keep") if experiment.keep_ragged_end else experiment.rules,
        experiment.adjust,
        membership,
        experiment.frequency,
        experiment.start,
        experiment.stop,
        splits,
    )
    panel = _in_earlier_units(panel, target)
    content = {} if digest is None else {"content": described_content(frame, digest)}
    files.write(experiment, folder)
    write_json(folder / QUALITY, quality.to_json())
    rules = {} if experiment.market is None else {RECORDED: experiment.market.to_json()}
    replace(panel, source={**panel.source, "config": to_data(experiment), **rules, **content}).save(target)
    return PrepareResult(target, panel, quality)


def _in_earlier_units(panel: Panel, target: Path) -> Panel:
    """Returns the panel in the units of the one that it replaces, where prices have moved by factors since."""
    if not target.exists():
        return panel
    try:
        before = Panel.load(target)
    except ValueError:  # damaged, or of another version: what replaces it stands alone
        return panel
    panel, moved = continued(panel, before)
    if moved:
        named = ", ".join(f"{name} by {factor:.6g}" for name, factor in list(moved.items())[:4])
        logger.info(
            "the past was restated by a factor, %s%s; returns are the same, so known days keep their prices",
            named,
            f" and {len(moved) - 4} more" if len(moved) > 4 else "",
        )
    return panel


def _refuse_changed_content(target: Path, digest: str | None, read: Callable[[], pd.DataFrame]) -> None:
    before = read_header(target)["source"].get("content")
    if before is None or digest in (None, before["sha256"]):
        return
    now = described_content(read(), str(digest))
    raise ValueError(
        f"{target}: the source has changed since: it has {describe_difference(now, before)}; add --overwrite to "
        "prepare it again, or choose another --name"
    )


def _quality_beside(path: Path) -> Report | None:
    report = path.with_name(QUALITY)
    if not report.exists():
        return None
    try:
        return Report.from_json(read_json(report))
    except ValueError as error:
        raise ValueError(f"{report}: {error}") from None
