"""Where an encoder loses its signal, from its inputs to its forecast, as one table.

    python -m benchmarks probe --run workdir/pretrain/csi300_storm_dual_small [--every 4] [--test]

`encoders.probe` says what is measured. With ``--test`` the test days are looked at as well.
"""

import dataclasses
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from configs.files import load_json
from configs.paths import located
from configs.schema.pretrain import Pretrain
from encoders.checkpoint import Checkpoint
from encoders.data import prepare
from encoders.probe import Probe, ProbeResult
from market.panel import Panel


@dataclasses.dataclass(frozen=True)
class Options:
    """Which run to look into."""

    run: str
    """Directory of a finished pretraining run."""
    every: int = 4
    """Train days from one that a ridge is fitted on to the next."""
    test: bool = False
    """Evaluate the test days as well."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks probe")
    found = measured(options)
    parts = next(iter(found.values())).rank_ic
    table = Table("representation of an asset", "numbers", *(f"rank IC, {part}" for part in parts))
    for name, place in found.items():
        table.add_row(name, str(place.width), *(f"{value:.4f}" for value in place.rank_ic.values()))
    table.caption = f"{options.run}; a ridge fitted on every {options.every}th train day; the forecast is the encoder's"
    Console().print(table)


def measured(options: Options) -> dict[str, ProbeResult]:
    """Returns what is found at each place of the run's encoder."""
    experiment = located(load_json(Path(options.run) / "config.json", Pretrain), options.workdir)
    checkpoint = Checkpoint.load(Path(options.run) / "model.safetensors")
    frozen = checkpoint.restore(experiment.encoder, experiment.features, experiment.scaling)
    lookback = experiment.encoder.lookback
    panel, split = Panel.load(experiment.panel), experiment.split
    data = prepare(panel, experiment.features, experiment.scaling, lookback, experiment.label, split)
    probe = Probe(every=options.every, parts=("valid", "test") if options.test else ("valid",))
    return probe.measure(frozen.encoder, data)
