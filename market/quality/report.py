"""Findings and treatments, as JSON and as a table that a person can read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray
from market.panel import Panel
from market.quality.rules import Rules

EXAMPLES = 5


class Place(NamedTuple):
    """One cell: an asset on a day, and what is special about it."""

    asset: str
    date: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.asset} {self.date}".strip() + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class QualityFinding:
    """All places that one check found.

    Attributes:
        check: Name of the check, as in `Rules`.
        treatment: What was done about it.
        count: Number of places: bars, or days, assets or gaps where the check speaks of them.
        by_asset: Number of places of each asset, the most first; empty where a place is a whole day.
        examples: The first few places in time.
    """

    check: str
    treatment: str
    count: int
    by_asset: Mapping[str, int]
    examples: tuple[Place, ...]


@dataclass(frozen=True)
class Report:
    """The findings of one cleaning and the size of what it left.

    Attributes:
        findings: Only what was found; empty for clean data.
        rows: Rows of the frame.
        days: Days of the panel.
        assets: Assets of the panel.
        bars: Bars of the panel.
        tradable: Bars of the panel that can be traded.
    """

    findings: tuple[QualityFinding, ...]
    rows: int
    days: int
    assets: int
    bars: int
    tradable: int

    def __getitem__(self, check: str) -> QualityFinding | None:
        """Returns the finding of `check`, or None where it found nothing."""
        return next((finding for finding in self.findings if finding.check == check), None)

    @property
    def changed(self) -> bool:
        """Whether any finding changed, masked or left out something."""
        return any(finding.treatment != "keep" for finding in self.findings)

    def per_asset(self) -> dict[str, dict[str, int]]:
        """Returns the number of places of every check, by asset, for the assets that have any."""
        table: dict[str, dict[str, int]] = {}
        for finding in self.findings:
            for asset, count in finding.by_asset.items():
                table.setdefault(asset, {})[finding.check] = count
        return dict(sorted(table.items()))

    def to_json(self) -> dict[str, Any]:
        """Returns the content of ``quality.json``."""
        sizes = {name: getattr(self, name) for name in ("rows", "days", "assets", "bars", "tradable")}
        return {**sizes, "findings": [asdict(f) | {"examples": [[*e] for e in f.examples]} for f in self.findings]}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "Report":
        """Returns the report that `to_json` described.

        Raises:
            ValueError: A part is missing or unknown.
        """
        try:
            findings = [
                QualityFinding(**{**entry, "examples": tuple(Place(*place) for place in entry["examples"])})
                for entry in content["findings"]
            ]
            return Report(**{**content, "findings": tuple(findings)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"quality report: {error}; prepare the panel again") from None

    def table(self) -> str:
        """Returns the report as lines of text, one per finding."""
        title = (
            f"{self.rows:,} rows -> {self.days:,} days x {self.assets:,} assets, {self.bars:,} bars, "
            f"{self.tradable:,} tradable"
        )
        if not self.findings:
            return f"{title}\nnothing found"
        rows = [("check", "treatment", "places", "assets", "first")]
        for finding in self.findings:
            assets = f"{len(finding.by_asset):,}" if finding.by_asset else ""
            first = ", ".join(map(str, finding.examples[:3])) + (", ..." if finding.count > 3 else "")
            rows.append((finding.check, finding.treatment, f"{finding.count:,}", assets, first))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            f"{r[0]:<{widths[0]}}  {r[1]:<{widths[1]}}  {r[2]:>{widths[2]}}  {r[3]:>{widths[3]}}  {r[4]}" for r in rows
        ]
        return "\n".join([title, *lines])


class Findings:
    """Collects what the checks find, and raises where a rule refuses it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.found: list[QualityFinding] = []

    def note(
        self,
        check: str,
        days: AnyArray,
        assets: AnyArray | None = None,
        details: AnyArray | None = None,
        treatment: str | None = None,
    ) -> str:
        """Records places, given by day and asset name, and returns the treatment; no places are no finding.

        Raises:
            ValueError: There are places and the treatment is ``refuse``.
        """
        treatment = treatment or str(getattr(self.rules, check))
        if not len(days):
            return treatment
        dates = np.datetime_as_string(pd.to_datetime(days).to_numpy().astype("datetime64[D]"))
        names = np.full(len(days), "", dtype=object) if assets is None else assets
        notes = np.full(len(days), "", dtype=object) if details is None else details
        first = np.argsort(dates, kind="stable")[:EXAMPLES]
        examples = tuple(Place(str(names[k]), str(dates[k]), str(notes[k])) for k in first)
        if treatment == "refuse":
            raise ValueError(
                f"quality: check '{check}' found {len(days)} places, first {examples[0]}, and its rule refuses them; "
                f"correct the data or give '{check}' another rule"
            )
        counts = {} if assets is None else pd.Series(assets, dtype=object).value_counts().to_dict()
        by_asset = {str(asset): int(count) for asset, count in counts.items()}
        self.found.append(QualityFinding(check, treatment, len(days), by_asset, examples))
        return treatment

    def note_cells(self, check: str, panel: Panel, places: BoolArray, treatment: str | None = None) -> str:
        """Records the true cells of a mask ``[T, N]``."""
        day, asset = np.nonzero(places)
        return self.note(check, panel.dates[day], np.array(panel.assets, dtype=object)[asset], treatment=treatment)
