"""The number of trials behind a result, and of looks at its test days: the ledger, read and written.

What lies in the same working directory and was trained before there were ledgers counts as well.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from configs.files import load_json
from configs.values import to_data
from market.artifacts import CONFIG, METRICS
from market.panel import Panel
from market.splits import Split
from market.storage.array_file import read_json
from market.storage.ledger import Ledger, Look, Part, config_hash, month_hashes, new_command
from pipeline.run_directory import evaluate_folder

AGENTS = ("train", "evaluate")
"""Stages whose looks are at one market; the others are at all of a panel's assets."""
DELETED = "runs that were deleted"


class TrialCount(NamedTuple):
    """Everything that was tried on a question, the reported runs left out.

    Attributes:
        sharpes: Annual Sharpe ratio on the test days of each other training run, None where it was never evaluated.
        configurations: Number of other configurations.
        runs: Number of trainings by what was trained, such as ``encoder storm`` or ``run dj30_ppo``.
    """

    sharpes: list[float | None]
    configurations: int
    runs: dict[str, int]


@dataclass(frozen=True)
class Question:
    """The days and the market that runs have in common, and the ledger that counts who looked at them.

    Attributes:
        panel: File of the panel.
        months: Hashes of the closes of valid and test months.
        asset: The one asset that is traded; None for all.
    """

    panel: Path
    months: tuple[str, ...]
    asset: str | None = None

    @staticmethod
    def of(path: str | Path, panel: Panel, split: Split, asset: str | None = None) -> "Question":
        """Returns the question that runs on a panel and a split ask."""
        return Question(Path(path), month_hashes(panel, split.valid[0], split.test[1]), asset)

    @property
    def looks(self) -> list[Look]:
        """Every look at these days so far: at this market, or at all assets together."""
        found = Ledger.beside(self.panel).looks(self.months)
        return [one for one in found if one.asset == self.asset or one.stage not in AGENTS]

    def enter(
        self, stage: str, part: Part, run: str, config: Any, seeds: Sequence[int], command: str | None = None
    ) -> None:
        """Counts a run that looks at the days of a part, one training for each seed.

        A look at valid days counts once, however often a run is continued; every look at test days counts.

        Args:
            stage: What looks, see `market.storage.ledger.Look`.
            part: The days.
            run: Name of the run's directory.
            config: Its configuration as JSON data.
            seeds: Of its trainings.
            command: Name that the looks of one command share; a new one by default.
        """
        one = Look(stage, part, run, config_hash(config), 0, self.months, self.asset, command or new_command())
        looks = [replace(one, seed=seed) for seed in seeds]
        known = {(other.stage, other.part, other.trial) for other in self.looks}
        if part == "test" or any((other.stage, other.part, other.trial) not in known for other in looks):
            Ledger.beside(self.panel).enter(looks)

    def enter_sharpes(self, run: str, config: Any, sharpes: Mapping[int, float | None], command: str) -> None:
        """Notes the annual Sharpe ratio of each seed of a run on the test days, as part of the look of `command`."""
        one = Look("evaluate", "test", run, config_hash(config), 0, self.months, self.asset, command)
        Ledger.beside(self.panel).enter(replace(one, seed=seed, sharpe=found) for seed, found in sharpes.items())

    def test_looks(self) -> int:
        """Returns how many commands have looked at the test days so far."""
        return len({one.command for one in self.looks if one.part == "test"})


def other_trials(question: Question, reported: Sequence[Path], deleted: int = 0) -> TrialCount:
    """Returns the other trainings that looked at the same days and market beside the reported runs.

    Args:
        question: What was asked.
        reported: Run directories.
        deleted: Trainings that are known to have been tried and left no trace.
    """
    own = {(folder.name, _hash_of(folder)) for folder in reported}
    found: dict[tuple[str, str, int], float | None] = {}
    encoders = set()
    for look in question.looks:
        if look.trial[:2] not in own:
            found[look.trial] = look.sharpe if look.sharpe is not None else found.get(look.trial)
            encoders |= {look.run} if look.stage == "pretrain" else set()
    for trial, sharpe in _in_folder(question, reported[0].parent).items():
        if trial[:2] not in own:
            found.setdefault(trial, sharpe)
    gone: list[float | None] = [None] * deleted
    trials = sorted(found)  # processes enter their looks in an order of chance
    runs = Counter(f"{'encoder' if run in encoders else 'run'} {run}" for run, _, _ in trials)
    runs += Counter({DELETED: deleted})
    return TrialCount([*gone, *(found[trial] for trial in trials)], len({trial[:2] for trial in trials}), dict(runs))


def looks_so_far(folder: Path) -> int:
    """Returns how often the test days were evaluated into `folder`."""
    path = folder / METRICS
    return int(read_json(path).get("looks", 1)) if path.exists() else 0


def _in_folder(question: Question, folder: Path) -> dict[tuple[str, str, int], float | None]:
    """The trainings of every run in `folder` on the same panel file and asset; ``seed_<k>`` is one, finished or not."""
    found: dict[tuple[str, str, int], float | None] = {}
    for run in sorted(folder.iterdir()):
        if not (run / CONFIG).exists():
            continue
        data = read_json(run / CONFIG)
        same = Path(data.get("panel", "")).resolve() == question.panel.resolve()
        if not same or data.get("asset") != question.asset:
            continue
        known = _known_sharpes(evaluate_folder(folder.parent, run.name) / METRICS)
        for seed in sorted(run.glob("seed_*")):
            if seed.is_dir():
                trial = (run.name, _hash_of(run), int(seed.name.removeprefix("seed_")))
                found[trial] = known.get(seed.name)
    return found


def _hash_of(folder: Path) -> str:
    """The hash of a run's configuration as the ledger has it, whichever version wrote the file."""
    try:
        return config_hash(to_data(load_json(folder / CONFIG, object)))
    except ValueError:  # of a class that is not at hand; another spelling of it would count twice, never not at all
        return config_hash(read_json(folder / CONFIG))


def _known_sharpes(path: Path) -> dict[str, float | None]:
    if not path.exists():
        return {}
    performance = read_json(path).get("performance", {})
    return {seed: one["sharpe"] for found in performance.values() for seed, one in found.get("seeds", {}).items()}
