"""The stage that freezes an encoder: a checkpoint and a panel to states of every day, once the audit passes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.files import load_json
from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from encoders.checkpoint import Checkpoint
from encoders.states import extraction
from encoders.states.audit import TrainingFacts
from encoders.states.extraction import Batch, Extraction, known_rows
from encoders.states.inputs import ProvenInputs
from encoders.training.launch import init_distributed
from envs.rules import RECORDED
from market.arrays import AnyArray
from market.artifacts import AUDIT, CONFIG, MODEL, STATES
from market.audit import AuditError
from market.panel import Panel, content_fingerprint
from market.prices.labels import Label
from market.states import MarketStates
from market.storage.array_file import header_dates, header_names, read_header, read_json, write_json
from pipeline.pretraining import rules_of
from pipeline.results import SILENT, ExtractResult, Observer
from pipeline.run_directory import lock, states_folder


@dataclass(frozen=True)
class Extract:
    """How the states of a run are extracted.

    Attributes:
        panel: Panel to extract from; None takes the one trained on, where days may have been appended.
        name: Folder under ``workdir/states`` that receives the states; None takes the name of the run.
        tokens: Also keep the raw tokens, which take many times the space.
        batch_size: Days computed together; decides memory, not results.
    """

    panel: str | None = None
    name: str | None = None
    tokens: bool = False
    batch_size: int = 32


def extract(
    run: str | Path,
    settings: Extract | None = None,
    workdir: str | Path = "workdir",
    overwrite: bool = False,
    reuse: bool = False,
    observer: Observer = SILENT,
    proven: ProvenInputs | None = None,
) -> ExtractResult:
    """Freezes the best checkpoint of a pretraining run and writes the audited states of every day.

    ``workdir/states/<name>/`` receives ``states.safetensors``, ``audit.json`` and ``config.json``. Days that are there
    already are kept, and days that were appended to the panel since are added.

    Args:
        run: Directory of the pretraining run.
        settings: What to extract, and from where.
        workdir: Where the artifacts of all stages live.
        overwrite: Compute all days again instead of appending new ones.
        reuse: Return states that are there where this very checkpoint made them; where another one did, compute all
            days again.
        observer: Follows from outside.
        proven: Inputs that were audited before; where the encoder is fed with those, they are not audited again.

    Raises:
        AuditError: A state sees the future, or something else that it must not; no states are written.
        ValueError: Another process works on the folder, or the states there came from another checkpoint or panel.
    """
    settings = settings or Extract()
    experiment = load_json(Path(run) / CONFIG, Pretrain)
    folder = _folder_of_states(settings.name or experiment.name, workdir)
    if reuse and _is_current(folder, Path(run)):
        result = read_extraction(folder)
    else:
        record = {
            "run": str(run),
            "panel": settings.panel,
            "name": settings.name,
            "workdir": str(workdir),
            "tokens": settings.tokens,
            "batch_size": settings.batch_size,
            "overwrite": overwrite or reuse,
        }
        result = _extract(experiment, record, folder, observer, proven)
    observer.finished(result)
    return result


def _folder_of_states(name: str, workdir: str | Path) -> Path:
    check_folder_name("extract_state", name)
    return states_folder(workdir, name)


def _is_current(folder: Path, run: Path) -> bool:
    states = folder / STATES
    if not (states.exists() and (folder / AUDIT).exists()):
        return False
    if read_header(states)["checkpoint_sha256"] != read_header(run / MODEL)["fingerprint"]:
        return False
    return MarketStates.load(states, verify=False).is_named_by(read_json(folder / AUDIT))


def read_extraction(folder: Path) -> ExtractResult:
    """Returns the states that were extracted into `folder` before."""
    header = read_header(folder / STATES)
    shape = len(header_dates(header)), len(header_names(header, "assets"))
    return ExtractResult(folder / STATES, read_json(folder / AUDIT), shape, fresh=False)


def _extract(
    experiment: Pretrain, record: dict[str, Any], folder: Path, observer: Observer, proven: ProvenInputs | None
) -> ExtractResult:
    """Extracts as `record` says, which becomes ``config.json``."""
    model = Path(record["run"]) / MODEL
    checkpoint = Checkpoint.load(model)
    panel = Panel.load(record["panel"] or experiment.panel)
    if record["panel"] is None:
        checkpoint.refuse_other_panel(panel)
    sha256 = str(read_header(model)["fingerprint"])
    with lock(folder):
        frozen = checkpoint.restore(experiment.encoder, experiment.features, experiment.scaling)
        frozen.encoder.to(init_distributed().device)
        how = _extraction(experiment, checkpoint, panel, sha256, record, proven)
        earlier = None if record["overwrite"] else _earlier_rows(folder, panel, sha256, record)

        def watch(batches: Iterable[Batch], total: int) -> Iterator[Batch]:
            return observer.track(batches, total, "extracting")

        try:
            verdict = extraction.extract(frozen, panel, folder / STATES, how, earlier, watch)
        except AuditError as error:
            write_json(folder / AUDIT, error.verdict.to_json())
            raise
        written = MarketStates.load(folder / STATES, verify=False)
        write_json(folder / AUDIT, {**_continued(folder / AUDIT, verdict.to_json()), **written.identity})
        write_json(folder / CONFIG, {**record, "n_days": len(panel), "content_fingerprint": content_fingerprint(panel)})
    return ExtractResult(folder / STATES, verdict.to_json(), panel.shape[:2])


def _continued(path: Path, verdict: dict[str, Any]) -> dict[str, Any]:
    """Returns the audit of all days where only new ones were audited: that of the days before, with the new ones."""
    if "new_days" not in verdict["coverage"]:
        return verdict
    before: dict[str, Any] = read_json(path)
    days = verdict["coverage"]["new_days"]
    kept = [span for span in before["coverage"].get("appended", []) if span[0] < days[0]]
    return {**before, "coverage": {**before["coverage"], "appended": [*kept, days]}}


def _extraction(
    experiment: Pretrain,
    checkpoint: Checkpoint,
    panel: Panel,
    sha256: str,
    record: dict[str, Any],
    proven: ProvenInputs | None,
) -> Extraction:
    label = Label(**checkpoint.about["label"])
    return Extraction(
        provenance={
            "encoder": checkpoint.about["encoder"],
            "checkpoint_sha256": sha256,
            "panel_fingerprint": panel.fingerprint,
            "split": checkpoint.about["split"],
            "fill": label.fill,
            "horizon": label.horizon,
            RECORDED: rules_of(experiment, panel).to_json(),
        },
        fit_end=np.datetime64(checkpoint.about["fit_end"], "D"),
        training=TrainingFacts(
            label, experiment.scaling, _trained_rows(checkpoint, panel), _audited_inputs(Path(record["run"])), proven
        ),
        batch_size=record["batch_size"],
        tokens=record["tokens"],
    )


def _audited_inputs(run: Path) -> dict[str, Any] | None:
    """Returns the audit of the inputs that a pretraining run learnt from, None where it has none."""
    path = run / AUDIT
    found: dict[str, Any] | None = read_json(path) if path.exists() else None
    return found


def _trained_rows(checkpoint: Checkpoint, panel: Panel) -> slice | None:
    """Returns the rows that the scaler was fitted on, None where `panel` is not the one trained on."""
    try:
        checkpoint.refuse_other_panel(panel)
    except ValueError:
        return None
    start, stop = checkpoint.about["train_rows"]
    return slice(start, stop)


def _passed(audit: Path) -> bool:
    return audit.exists() and bool(read_json(audit)["verdict"] == "passed")


def _earlier_rows(folder: Path, panel: Panel, sha256: str, record: dict[str, Any]) -> dict[str, AnyArray] | None:
    """Returns the rows that `folder` has of the first days of `panel`, None where it has none.

    Raises:
        ValueError: They came from another checkpoint or panel, or the history of the panel has changed since.
    """
    target = folder / STATES
    if not (target.exists() and (folder / CONFIG).exists() and _passed(folder / AUDIT)):
        return None
    before = read_json(folder / CONFIG)
    n_days = before["n_days"]  # rows beyond, if a run was killed before it wrote the record, are computed again
    rows = known_rows(target, panel, sha256, record["tokens"])
    if before["batch_size"] != record["batch_size"]:
        changed = f"--batch-size was {before['batch_size']}, now {record['batch_size']}"
    elif before["content_fingerprint"] != content_fingerprint(panel[:n_days]):
        changed = f"the first {n_days} days of the panel hold other values than when these states were extracted"
    else:
        return {name: array[:n_days] for name, array in rows.items()}
    raise ValueError(f"{target}: {changed}; --overwrite computes all days again")
