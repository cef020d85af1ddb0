"""`python -m tools.extract_state --run workdir/pretrain/dj30_storm_dual`: freezes an encoder, extracts, audits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.files import load_json
from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from encoders.checkpoint import Checkpoint
from encoders.states.audit import TrainingFacts
from encoders.states.extraction import Batch, Extraction, extract, known_rows
from encoders.training.launch import init_distributed
from market.arrays import AnyArray
from market.audit import AuditError, Verdict
from market.labels import Label
from market.panel import Panel, content_fingerprint
from market.storage.array_file import read_header, read_json, write_json
from tools.cli import plain, progress, run
from tools.runs.directory import claimed


@dataclass(frozen=True)
class Options:
    """Freezes the best checkpoint of a pretraining run and writes the states of every day, once the audit passes."""

    run: str
    """Directory of the pretraining run."""
    panel: str | None = None
    """Panel to extract from; the one trained on by default, where days may have been appended."""
    name: str | None = None
    """Folder under workdir/states that receives the states; the name of the run by default."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    tokens: bool = False
    """Also keep the raw tokens, which take many times the space."""
    batch_size: int = 32
    """Days computed together; decides memory, not results."""
    overwrite: bool = False
    """Compute all days again instead of appending new ones."""


def main(argv: Sequence[str]) -> None:
    """Extracts and audits the states of one run."""
    options = plain(Options, argv)
    source = Path(options.run)
    experiment = load_json(source / "config.json", Pretrain)
    checkpoint = Checkpoint.load(source / "model.safetensors")
    panel = Panel.load(options.panel or experiment.panel)
    if options.panel is None:
        checkpoint.refuse_other_panel(panel)
    name = options.name or experiment.name
    check_folder_name("extract_state", name)
    folder = Path(options.workdir) / "states" / name
    with claimed(folder):
        verdict = extract_run(experiment, checkpoint, panel, options, folder)
    target = folder / "states.safetensors"
    print(f"{target}: {len(panel)} days x {len(panel.assets)} assets, {target.stat().st_size / 1e6:.1f} MB; audit:")
    for name, word in verdict.checks.items():
        print(f"  {name:8} {word}")


def extract_run(experiment: Pretrain, checkpoint: Checkpoint, panel: Panel, options: Options, folder: Path) -> Verdict:
    """Writes ``states.safetensors``, ``audit.json`` and ``config.json``; days that are there already are kept."""
    frozen = checkpoint.restore(experiment.encoder, experiment.features, experiment.scaling)
    frozen.encoder.to(init_distributed().device)
    sha256 = str(read_header(Path(options.run) / "model.safetensors")["fingerprint"])
    label = Label(**checkpoint.about["label"])
    how = Extraction(
        provenance={
            "encoder": checkpoint.about["encoder"],
            "checkpoint_sha256": sha256,
            "panel_fingerprint": panel.fingerprint,
            "split": checkpoint.about["split"],
            "fill": label.fill,
            "horizon": label.horizon,
        },
        fit_end=np.datetime64(checkpoint.about["fit_end"], "D"),
        training=TrainingFacts(
            label, experiment.scaling, trained_rows(checkpoint, panel), inputs_of(Path(options.run))
        ),
        batch_size=options.batch_size,
        tokens=options.tokens,
    )
    known = None if options.overwrite else earlier(folder, panel, sha256, options)
    try:
        verdict = extract(frozen, panel, folder / "states.safetensors", how, known, watch)
    except AuditError as error:
        write_json(folder / "audit.json", error.verdict.to_json())
        raise
    write_json(folder / "audit.json", verdict.to_json())
    write_json(
        folder / "config.json",
        {**asdict(options), "n_days": len(panel), "content_fingerprint": content_fingerprint(panel)},
    )
    return verdict


def inputs_of(source: Path) -> dict[str, Any] | None:
    """Returns the audit of the inputs that a pretraining run learnt from, None where it has none."""
    path = source / "audit.json"
    found: dict[str, Any] | None = read_json(path) if path.exists() else None
    return found


def watch(batches: Iterable[Batch], total: int) -> Iterator[Batch]:
    """Yields the batches under a progress bar."""
    return progress(batches, total, "extracting")


def trained_rows(checkpoint: Checkpoint, panel: Panel) -> slice | None:
    """Returns the rows that the scaler was fitted on, None where `panel` is not the one trained on."""
    try:
        checkpoint.refuse_other_panel(panel)
    except ValueError:
        return None
    start, stop = checkpoint.about["train_rows"]
    return slice(start, stop)


def earlier(folder: Path, panel: Panel, sha256: str, options: Options) -> dict[str, AnyArray] | None:
    """Returns the rows that `folder` has of the first days of `panel`, None where it has none.

    Raises:
        ValueError: They came from another checkpoint or panel, or the history of the panel has changed since.
    """
    target, record = folder / "states.safetensors", folder / "config.json"
    if not (target.exists() and record.exists()):
        return None
    before = read_json(record)
    n_days = before["n_days"]  # rows beyond, if a run was killed before it wrote the record, are computed again
    rows = known_rows(target, panel, sha256, options.tokens)
    if before["batch_size"] != options.batch_size:
        changed = f"--batch-size was {before['batch_size']}, now {options.batch_size}"
    elif before["content_fingerprint"] != content_fingerprint(panel[:n_days]):
        changed = f"the first {n_days} days of the panel hold other values than when these states were extracted"
    else:
        return {name: array[:n_days] for name, array in rows.items()}
    raise ValueError(f"{target}: {changed}; --overwrite computes all days again")


if __name__ == "__main__":
    run(main)
