"""The audit of a function of a panel, from the first recomputation to the verdict."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from market.arrays import AnyFloatArray
from market.audit.causality import Causality
from market.audit.columns import Columns, Difference, Recompute, differences
from market.audit.controls import dependent_on_names, dependent_on_start, frozen_columns, level_columns
from market.audit.external import External, externals_of
from market.audit.verdict import AuditResult, Scrutiny
from market.panel import Panel

REMEDY = "compute it from the panel, or declare it as External with its lag"


class Computes(Protocol):
    """Anything that makes features of a panel, such as a `market.features.FeatureSet`."""

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel`."""
        ...


def audit_features(
    features: Computes, panel: Panel, settings: Scrutiny | None = None, written: Panel | None = None
) -> AuditResult:
    """Returns the verdict on the features of `panel`.

    Args:
        features: The feature set; what it declares in ``external`` and ``levels`` is taken from it.
        panel: What they are computed from.
        settings: How hard to look.
        written: The feature panel that is going to be used, which is what is evaluated; it is computed where not given.
    """

    def compute(one: Panel) -> Sequence[Columns]:
        return columns_of(features.compute(one))

    known = None if written is None else columns_of(written)
    levels = tuple(getattr(features, "levels", ()))
    return audit_columns(compute, panel, settings, externals_of(features), levels, known)


def columns_of(features: Panel) -> list[Columns]:
    """Returns the features and the masks of a panel as columns."""
    masks: AnyFloatArray = np.stack([features.listed, features.tradable], axis=2).astype(np.float32)
    return [Columns(features.values, features.fields), Columns(masks, ("listed", "tradable"))]


def audit_columns(
    compute: Recompute,
    panel: Panel,
    settings: Scrutiny | None = None,
    external: Iterable[External] = (),
    levels: Iterable[str] = (),
    written: Sequence[Columns] | None = None,
) -> AuditResult:
    """Returns the verdict on what `compute` makes of `panel`.

    Args:
        compute: Makes columns of a panel of any days and assets.
        panel: The panel whose columns are going to be used.
        settings: How hard to look.
        external: Columns that were computed elsewhere; nothing is asked of them.
        levels: Columns that may move when a later split or dividend restates prices, because they are computed from
            quotes as they were known on the day.
        written: The columns that are going to be used; they are computed where not given.
    """
    settings, external = settings or Scrutiny(), tuple(external)

    def quietly(one: Panel) -> Sequence[Columns]:
        with np.errstate(all="ignore"):  # rewritten worlds hold zeros and gaps on purpose
            return compute(one)

    first = quietly(panel)
    original = first if written is None else written
    skipped = frozenset(one.name for one in external)
    auditor = _Auditor(quietly, panel, original, settings, skipped, frozenset(levels))
    auditor.repeat(first if written is not None else quietly(panel))
    auditor.future()
    auditor.controls()
    auditor.every_day()
    auditor.scale()
    return AuditResult(tuple(auditor.faults), auditor.checks, settings, auditor.coverage, external)


class _Auditor:
    def __init__(
        self,
        compute: Recompute,
        panel: Panel,
        original: Sequence[Columns],
        settings: Scrutiny,
        skipped: frozenset[str],
        levels: frozenset[str],
    ) -> None:
        self.compute, self.panel, self.original, self.settings = compute, panel, original, settings
        self.skipped, self.levels = skipped, levels
        self.causality = Causality(compute, panel, original, settings, skipped)
        self.checks: dict[str, str] = {}
        self.faults: list[str] = []
        self.coverage: dict[str, Any] = {}
        self.cuts = self.causality.cuts()
        self.told: frozenset[str] = frozenset()
        self.still: frozenset[str] = frozenset()
        self.unasked = ""
        self.complete = len(self.cuts) == max(0, len(panel) - 1)
        self.names = {name for one in original for name in one.names}

    def note(self, check: str, lines: Iterable[str], apart: Iterable[str] = ()) -> None:
        """Writes down what a check found, and says so where its answer means nothing of columns that failed before."""
        found, failed = list(dict.fromkeys(lines)), set(apart) - self.skipped
        self.faults += [f"{check}: {line}" for line in found]
        if found:
            self.checks[check] = "failed"
        elif not failed:
            self.checks[check] = "passed"
        elif self.names - self.skipped <= failed:
            self.checks[check] = "not reached: every column failed before"
        else:
            self.checks[check] = f"passed, without {_told(failed)} that failed before"

    def repeat(self, again: Sequence[Columns]) -> None:
        rows, tolerance = np.arange(len(self.panel)), self.settings.tolerance
        found = differences(self.original, again, rows, self.causality.spread, tolerance, self.skipped)
        self.note(
            "repeat",
            (
                f"{one.name} moved by {one.amount()} when it was computed from the same panel again, first on "
                f"{one.place(self.panel)}"
                for one in found
            ),
        )

    def future(self) -> None:
        self.causality.after_cuts(self.cuts)
        self.note("future", self.causality.faults.values())
        self.told = frozenset(self.causality.faults)

    def controls(self) -> None:
        """Finds what does not recompute from the panel; columns that depend on the date alone may stand still."""
        still = (
            set(
                frozen_columns(
                    self.compute, self.panel, self.original, self.causality.generator, self.settings.tolerance
                )
            )
            - self.skipped
        )
        if not self.complete:
            self.causality.measure_memory(self.causality.parts()[0] if len(self.panel.assets) > 64 else self.panel)
        named, foreign = self.named(still)
        lines = [f"{name} does not recompute from the panel: {why}; {REMEDY}" for name, why in named.items()]
        self.still = frozenset(named)
        self.coverage["calendar"] = sorted(still - self.still)
        self.note("controls", [*foreign, *lines], self.causality.faults)
        if self.unasked:
            self.checks["controls"] = f"skipped: {self.unasked}"

    def named(self, still: set[str]) -> tuple[dict[str, str], list[str]]:
        """Returns why each column that does not follow the panel does not, and what could not be computed."""
        causality = self.causality
        try:
            odd = {one.name: one for one in (*self.late(), *self.renamed())}
        except LookupError as error:
            if self.skipped:
                self.unasked = f"external columns are not known for other days or names of assets ({error!r})"
                return {}, []
            why = f"other days or names of assets cannot be computed ({error!r})"
            return {}, [f"{why}: something does not recompute from the panel; {REMEDY}"]
        found: dict[str, str] = {}
        for name in sorted(odd.keys() - causality.faults.keys()):
            why = (
                "it holds the same values whatever the panel holds"
                if name in still
                else "it depends on what days and assets are called or on where they stand"
            )
            found[name] = f"{why}, first on {odd[name].place(self.panel)}"
        return found, []

    def renamed(self) -> Iterator[Difference]:
        """Yields the columns that depend on names of days and assets, or on the order of the assets."""
        return dependent_on_names(self.compute, self.panel, self.original, self.settings.tolerance, self.skipped)

    def late(self) -> Iterator[Difference]:
        """Yields the columns with a short memory that depend on the day on which the panel begins."""
        memory, skipped = self.causality.memory, self.skipped | frozenset(self.causality.long)
        if not memory:
            return iter(())
        return dependent_on_start(self.compute, self.panel, self.original, memory, self.settings.tolerance, skipped)

    def every_day(self) -> None:
        n_patterns, parts, causality = 0, [self.panel], self.causality
        if self.complete:
            self.checks["every day"] = self.checks["future"]
        else:
            parts = causality.parts()
            n_patterns = causality.every_day(parts)
            found = causality.faults
            self.note("every day", (found[name] for name in found if name not in self.told), self.told | self.still)
            if self.checks["every day"] == "passed" and self.names <= causality.long | self.skipped:
                self.checks["every day"] = "skipped: all columns have a long memory, exact cuts alone can ask them"
        self.coverage |= causality.coverage(n_patterns, len(parts), self.cuts)

    def scale(self) -> None:
        part = self.causality.parts()[0] if not self.complete else self.panel
        found = level_columns(self.compute, part, self.causality.generator, self.skipped | self.levels)
        words: dict[str, list[str]] = {}
        first: dict[str, int] = {}
        for name, word, row in found:
            words.setdefault(name, []).append(word)
            first[name] = min(row, first.get(name, row))
        self.note(
            "scale",
            (
                f"{name} moves when a later {' or '.join(which)} restates the past, first on "
                f"{part.dates[first[name]]}: it reads the level of prices or volumes, which knows what is to come; use "
                "ratios or traded money"
                for name, which in words.items()
            ),
        )


def _told(names: Iterable[str], shown: int = 3) -> str:
    """Returns the first few names, and how many more there are."""
    known = sorted(names)
    more = f" and {len(known) - shown} more" if len(known) > shown else ""
    return f"{', '.join(known[:shown])}{more}"
