"""`python -m tools.prepare --config configs/prepare/bundled.py`: any source to a clean panel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from configs import files
from configs.schema.prepare import Prepare
from configs.values import to_data, upgraded
from market.panel import Panel
from market.preparation import prepared, read_membership
from market.quality import Report
from market.storage import read_header, write_json
from tools.cli import configured, run
from tools.runs.directory import claimed


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Replace a panel that is already there."""


def main(argv: Sequence[str]) -> None:
    """Reads, cleans and saves one panel."""
    experiment, options = configured(Prepare, Options, argv, "configs/prepare")
    prepare(experiment, Path(options.workdir), options.overwrite)


def prepare(
    experiment: Prepare, workdir: Path, overwrite: bool, read: Callable[[], pd.DataFrame] | None = None
) -> Panel:
    """Writes ``workdir/data/<name>/``: the panel last, so that a folder with a panel is complete.

    Args:
        experiment: What to prepare.
        workdir: Where the artifacts of all stages live.
        overwrite: Replace a panel that is already there.
        read: Reads the bars in the place of `experiment.source`.

    Raises:
        ValueError: Another process works on the folder, it holds a panel that another config made, or the data are bad.
    """
    folder = workdir / "data" / experiment.name
    with claimed(folder):
        return _prepare(experiment, folder, overwrite, read or experiment.source.read)


def _prepare(experiment: Prepare, folder: Path, overwrite: bool, read: Callable[[], pd.DataFrame]) -> Panel:
    target = folder / "panel.safetensors"
    if target.exists() and not overwrite:
        if made_by(experiment, target):
            print(f"{target} is up to date with this config; --overwrite makes it again")
            return Panel.load(target)
        raise ValueError(f"{target}: exists and was made by another config; choose another --name or add --overwrite")
    membership = read_membership(experiment.membership) if experiment.membership else None
    panel, report = prepared(
        read(),
        experiment.rules,
        experiment.adjust,
        membership,
        experiment.frequency,
        experiment.start,
        experiment.stop,
    )
    save(panel, report, experiment, folder)
    return panel


def made_by(experiment: Prepare, target: Path) -> bool:
    """Tells whether the panel at `target` names `experiment` as the config that made it."""
    config = read_header(target)["source"].get("config")
    try:
        return isinstance(config, dict) and upgraded(config) == to_data(experiment)
    except ValueError:  # of a class or field that is unknown, so it is none of this config
        return False


def save(panel: Panel, report: Report, experiment: Prepare, folder: Path) -> None:
    """Writes the panel, which names the config that made it, beside its quality report, and prints a summary."""
    files.write(experiment, folder)
    write_json(folder / "quality.json", report.to_json())
    replace(panel, source={**panel.source, "config": to_data(experiment)}).save(folder / "panel.safetensors")
    print(report.table())
    days, assets, _ = panel.shape
    print(
        f"{folder / 'panel.safetensors'}: {assets} assets x {days} days, {panel.dates[0]} to {panel.dates[-1]}, "
        f"{panel.listed.mean():.1%} listed, {panel.tradable.sum() / max(panel.listed.sum(), 1):.1%} of that tradable, "
        f"fields {', '.join(panel.fields)}"
    )


if __name__ == "__main__":
    run(main)
