"""The number of trials behind a result: training runs on the same question, and looks at the test days."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from market.artifacts import CONFIG, METRICS
from market.storage.array_file import read_json
from pipeline.run_directory import evaluate_folder


class TrialCount(NamedTuple):
    """Everything that was tried on a question, the reported runs left out.

    Attributes:
        sharpes: Annual Sharpe ratio on the test days of each other training run, None where it was never evaluated.
        configurations: Number of other configurations.
    """

    sharpes: list[float | None]
    configurations: int


def other_trials(reported: Sequence[Path], deleted: int = 0) -> TrialCount:
    """Returns the other runs beside the reported ones that asked the same question: same panel, same asset.

    Every ``seed_<k>`` folder is a training run, finished or not. Their Sharpe ratios come from earlier evaluations.

    Args:
        reported: Run directories, which all asked the same question.
        deleted: Runs that are known to have been tried and are gone.
    """
    question = _question(reported[0])
    names = {folder.name for folder in reported}
    found: list[float | None] = [None] * deleted
    configurations = 0
    for folder in sorted(reported[0].parent.iterdir()):
        if folder.name in names or not (folder / CONFIG).exists() or _question(folder) != question:
            continue
        seeds = [one.name for one in sorted(folder.glob("seed_*")) if one.is_dir()]
        known = _known_sharpes(evaluate_folder(folder.parent.parent, folder.name) / METRICS)
        found += [known.get(seed) for seed in seeds]
        configurations += 1
    return TrialCount(found, configurations)


def looks_so_far(folder: Path) -> int:
    """Returns how often the test days were evaluated into `folder`."""
    path = folder / METRICS
    return int(read_json(path).get("looks", 1)) if path.exists() else 0


def _question(folder: Path) -> Any:
    data = read_json(folder / CONFIG)
    return data.get("panel"), data.get("asset")


def _known_sharpes(path: Path) -> dict[str, float | None]:
    if not path.exists():
        return {}
    performance = read_json(path)["performance"]
    return {seed: one["sharpe"] for found in performance.values() for seed, one in found.get("seeds", {}).items()}
