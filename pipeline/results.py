"""Results of the stages, and the observer that hears of them while a long pipeline runs.

This module imports nothing heavy, so that programs can name results before they start a stage.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from market.artifacts import COMPARISON, CONFIG_SOURCE, MODEL, REPORT

if TYPE_CHECKING:
    from envs.paper import PaperAccount
    from evaluation.decision import Decision
    from evaluation.reports.panel import Summary
    from evaluation.reports.policy import PolicyReport
    from market.panel import Panel
    from market.preparation.quality import Report
    from market.splits import Split

S = TypeVar("S")


class Tracker(Protocol):
    """Passes entries on while somebody watches, for a progress bar."""

    def __call__(self, entries: Iterable[S], total: int, title: str) -> Iterator[S]:
        """Yields `entries`, of which there are `total`, under a title."""
        ...


def untracked(entries: Iterable[S], total: int, title: str) -> Iterator[S]:
    """Yields `entries` and shows nothing."""
    yield from entries


def ignore(result: Any) -> None:
    """Does nothing with the result of a stage."""


@dataclass(frozen=True)
class Observer:
    """Follows a pipeline from outside.

    Attributes:
        track: Passes entries on under a progress bar.
        finished: Called with the result of each stage as soon as it is there, such as each training of a comparison.
    """

    track: Tracker = untracked
    finished: Callable[[Any], None] = ignore


SILENT = Observer()


@dataclass(frozen=True, eq=False)
class PrepareResult:
    """A prepared panel.

    Attributes:
        path: Its file.
        panel: The panel.
        quality: Faults of the raw prices; None where the panel was there already.
    """

    path: Path
    panel: "Panel"
    quality: "Report | None"


@dataclass(frozen=True, eq=False)
class PretrainResult:
    """A trained encoder.

    Attributes:
        folder: Directory of the run; `extract` takes it.
        metrics: Content of ``metrics.json``.
        fresh: False where the run was finished before and was left alone.
    """

    folder: Path
    metrics: Mapping[str, Any]
    fresh: bool = True

    @property
    def model(self) -> Path:
        """Path of the checkpoint."""
        return self.folder / MODEL


@dataclass(frozen=True, eq=False)
class ExtractResult:
    """States of a frozen encoder that passed the audit.

    Attributes:
        path: The states file; a trading configuration names it.
        audit: Content of ``audit.json``.
        shape: Days and assets.
        fresh: False where the states were there already and were left alone.
    """

    path: Path
    audit: Mapping[str, Any]
    shape: tuple[int, int]
    fresh: bool = True


@dataclass(frozen=True)
class FoldProgress:
    """Where one run of a walk stands.

    Attributes:
        fold: Number of the refit.
        run: Name of the run.
        split: Its train and valid days and, as test, those that it serves.
        state: ``finished``, ``running`` or ``to do``.
    """

    fold: int
    run: str
    split: "Split"
    state: str


@dataclass(frozen=True)
class WalkProgress:
    """A walk under way: told before a run of it starts.

    Attributes:
        runs: All runs, in the order in which they are trained.
    """

    runs: tuple[FoldProgress, ...]


@dataclass(frozen=True, eq=False)
class WalkResult:
    """A finished walk.

    Attributes:
        folder: Holds ``report.html``, ``metrics.json`` and ``walk.json``.
        states: The stitched states file; a trading configuration names it.
        metrics: Content of ``metrics.json``.
    """

    folder: Path
    states: Path
    metrics: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """Path of the report."""
        return self.folder / REPORT


@dataclass(frozen=True)
class JobProgress:
    """Where one job stands.

    Attributes:
        name: What it does.
        state: ``waiting``, ``queued``, ``running``, ``finished`` or ``failed``.
        place: Process, and node where there are several; empty where it never ran.
        starts: How often it was started; more than once where its process died.
        seconds: Time since it was started for the last time, at most until it ended.
    """

    name: str
    state: str
    place: str = ""
    starts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class GraphProgress:
    """Jobs under way on several processes: told whenever one starts, ends or dies.

    Attributes:
        jobs: All of them, in order.
        changed: Name of the job that moved.
    """

    jobs: tuple[JobProgress, ...]
    changed: str

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to run."""
        return all(one.state in ("finished", "failed") for one in self.jobs)


@dataclass(frozen=True, eq=False)
class TrainResult:
    """Trained agents, one a seed.

    Attributes:
        folder: Directory of the run; `evaluate` takes it.
        records: What ``agent.json`` says of the best policy of each seed; empty where nothing was trained.
        fresh: False where the run was finished before and was left alone.
    """

    folder: Path
    records: Sequence[Mapping[str, Any]]
    fresh: bool = True


@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """Evidence of the test days.

    Attributes:
        folder: Holds ``metrics.json``, ``backtest.parquet``, ``policies.parquet`` and ``report.html``.
        report: The same as data: a section for each market.
    """

    folder: Path
    report: "PolicyReport"

    @property
    def page(self) -> Path:
        """Path of the report."""
        return self.folder / REPORT


@dataclass(frozen=True, eq=False)
class DecideResult:
    """Weights and trades for tomorrow.

    Attributes:
        folder: Holds ``decision.csv`` and ``decision.json``.
        decision: Weights and trades.
        about: Content of ``decision.json``.
        paper: The paper account, None where there is none.
    """

    folder: Path
    decision: "Decision"
    about: Mapping[str, Any]
    paper: "PaperAccount | None"


@dataclass(frozen=True, eq=False)
class EncoderComparison:
    """Encoders side by side.

    Attributes:
        folder: Holds ``report.html``.
        measures: Forecast and trading measures of each encoder, over its seeds.
        differences: One row for each field of the configurations that is not the same in all, with its values.
    """

    folder: Path
    measures: Mapping[str, Any]
    differences: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, eq=False)
class AgentComparison:
    """Trading runs side by side.

    Attributes:
        rows: One for each agent, beside buy and hold and the index, written for a reader.
        measures: Content of each run's ``metrics.json``, by its name.
        differences: One row for each field of the configurations that is not the same in all, with its values.
    """

    rows: Sequence[Mapping[str, Any]]
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    differences: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """Encoders and trading runs side by side.

    Attributes:
        folder: Holds ``comparison.json`` and, of encoders, ``report.html``.
        encoders: None where none were compared.
        agents: None where none were compared.
    """

    folder: Path
    encoders: EncoderComparison | None
    agents: AgentComparison | None

    @property
    def page(self) -> Path:
        """Path of what a reader opens."""
        return self.folder / (COMPARISON if self.encoders is None else REPORT)


@dataclass(frozen=True, eq=False)
class AblationResult:
    """Results of the same agent on learned, PCA, shuffled and no states, and on raw features.

    Attributes:
        folder: Holds ``report.html``, ``comparison.json`` and the rest of an evaluation.
        title: Heading.
        rows: One for each kind of states, written for a reader.
    """

    folder: Path
    title: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def page(self) -> Path:
        """Path of the report."""
        return self.folder / REPORT


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished search for hyper-parameters.

    Attributes:
        folder: Holds a folder for each trial, and ``best/`` with the winner's config.
        summary: Content of ``sweep.json``.
    """

    folder: Path
    summary: Mapping[str, Any]

    @property
    def best(self) -> Path:
        """Path of the winner's config."""
        return self.folder / "best" / CONFIG_SOURCE


@dataclass(frozen=True, eq=False)
class DiscoverResult:
    """A finished study of factors.

    Attributes:
        folder: Holds ``report.html`` and ``metrics.json``.
        metrics: Content of ``metrics.json``.
    """

    folder: Path
    metrics: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """Path of the report."""
        return self.folder / REPORT


@dataclass(frozen=True, eq=False)
class InspectResult:
    """Contents of a panel file.

    Attributes:
        path: The file.
        panel: The panel.
        summary: Its days, assets, masks and largest moves.
        quality: The quality report beside it, None where there is none.
    """

    path: Path
    panel: "Panel"
    summary: "Summary"
    quality: "Report | None"
