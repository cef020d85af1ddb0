"""Trackers of experiments beside TensorBoard: trackio, MLflow, Weights & Biases, as accelerate's ``log_with`` has them.

A run that continues goes on in the tracker's run that it began; which that is stands in ``trackers.json`` beside it.
"""

import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from market.curves import NO_CURVES, CurveLog, CurveLogs
from market.storage.array_file import read_json, write_json

FILE = "trackers.json"
"""Names of a run in the trackers that it is shown in."""
PROJECT = "factorgym"
"""Project or experiment that runs stand in; MLFLOW_EXPERIMENT_NAME and WANDB_PROJECT name another."""
TENSORBOARD = "tensorboard"
TRACKERS = (TENSORBOARD, "trackio", "mlflow", "wandb")
"""Trackers that a run can be shown in; TensorBoard's files are always written."""


@dataclass(frozen=True)
class AccelerateLog:
    """One of accelerate's trackers.

    Attributes:
        tracker: It, started.
    """

    tracker: Any

    def settings(self, values: Mapping[str, Any]) -> None:
        """Keeps what decides a run."""
        self.tracker.store_init_configuration(dict(values))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keeps a point of each of some curves, under the names that TensorBoard shows, as far as they are allowed."""
        self.tracker.log({self._allowed(name): value for name, value in values.items()}, step=step)

    def _allowed(self, name: str) -> str:
        return re.sub(r"[^\w\-. :/]", "", name) if self.tracker.name == "mlflow" else name


def check_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the trackers beside TensorBoard.

    Raises:
        ValueError: There is none of a name, or it is not installed.
    """
    available = {str(one.value) for one in get_available_trackers()}
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"--tracker {name}: there is no such tracker; choose of {', '.join(TRACKERS)}")
        if name not in available:
            raise ValueError(f"--tracker {name}: it is not installed; pip install {name}")
    return tuple(dict.fromkeys(name for name in names if name != TENSORBOARD))


@contextmanager
def tracked(names: Sequence[str], folder: Path, title: str) -> Iterator[CurveLog]:
    """Yields what shows a run in trackers; it is ended with the block. Only the first of several processes shows it.

    Args:
        names: Trackers.
        folder: Folder of the run, which remembers what the run is called there.
        title: What people read.

    Raises:
        ValueError: There is no such tracker, or it is not installed.
    """
    wanted = check_trackers(names)
    if not wanted or not PartialState().is_main_process:
        yield NO_CURVES
        return
    with ExitStack() as stack:
        yield CurveLogs([AccelerateLog(stack.enter_context(_started(name, folder, title))) for name in wanted])


@contextmanager
def _started(name: str, folder: Path, title: str) -> Iterator[Any]:
    """Yields a tracker in a run of its own, or in the one that the folder tells of."""
    known = read_json(folder / FILE) if (folder / FILE).exists() else {"token": secrets.token_hex(4)}
    with redirect_stdout(sys.stderr):  # where programs talk to people
        tracker = LOGGER_TYPE_TO_CLASS[name](PROJECT, **_place(name, title, known))
        tracker.start()
    if name == "mlflow":
        known["mlflow"] = tracker.tracker.info.run_id
    write_json(folder / FILE, known)
    try:
        yield tracker
    finally:
        with redirect_stdout(sys.stderr):
            tracker.finish()


def _place(name: str, title: str, known: Mapping[str, str]) -> dict[str, Any]:
    """Returns the arguments with which a tracker begins a run or goes on with it."""
    unique = f"{title} {known['token']}"
    if name == "mlflow":
        return {"run_id": known["mlflow"]} if "mlflow" in known else {"run_name": unique}
    if name == "wandb":
        return {"name": title, "id": known["token"], "resume": "allow"}
    return {"name": unique, "resume": "allow", "auto_log_cpu": False, "auto_log_gpu": False}
