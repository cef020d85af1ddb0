"""Findings and treatments, as JSON and as a table that a person can read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray, DateArray
from market.panel import Panel
from market.preparation.quality.rules import Rules

DANGER = (
    *(
        "giant",
        "jump",
        "relisted",
        "split",
        "suspect",
        "additive",
        "pending",
        "glitch",
        "ragged",
        "currencies",
        "calendars",
        "extreme",
        "nonpositive",
    ),
    *("duplicate", "coverage", "short", "impossible", "missing", "holiday", "calendar", "weekend", "session", "gap"),
    *("stale", "halted", "zero_volume", "no_volume", "adjusted_split", "dividend"),
)
"""Checks, the one that can do most harm first: what changes returns comes before what hides them."""


class Place(NamedTuple):
    """One cell or a run of them: an asset, its first and last day, its bars, and closes before and after."""

    asset: str
    date: str
    detail: str = ""
    last: str = ""
    bars: int = 1
    before: float | None = None
    after: float | None = None

    def __str__(self) -> str:
        days = f"{self.date} to {self.last}" if self.last and self.last != self.date else self.date
        told = [self.detail] if self.detail else []
        if self.before is not None:
            told.append(f"close {self.before:.6g} -> {'none' if self.after is None else f'{self.after:.6g}'}")
        return f"{self.asset} {days}".strip() + (f" ({'; '.join(told)})" if told else "")


@dataclass(frozen=True)
class QualityFinding:
    """All places that one check found.

    Attributes:
        check: Name of the check, as in `Rules`.
        treatment: What was done about it.
        count: Number of places: bars, or days, assets or gaps where the check speaks of them.
        by_asset: Number of places of each asset, the most first; empty where a place is a whole day.
        places: Every place in time; consecutive days of an asset stand together.
    """

    check: str
    treatment: str
    count: int
    by_asset: Mapping[str, int]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Report:
    """The findings of one cleaning and the size of what it left.

    Attributes:
        findings: Only what was found, the most dangerous first; empty for clean data.
        rows: Rows of the frame.
        days: Days of the panel.
        assets: Assets of the panel.
        bars: Bars of the panel.
        tradable: Bars of the panel that can be traded.
        membership: For every year that has members: their number, and how many of them have no bar; empty without
            a membership.
    """

    findings: tuple[QualityFinding, ...]
    rows: int
    days: int
    assets: int
    bars: int
    tradable: int
    membership: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

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
        """Returns the content of ``quality.json``: every finding with all its places."""
        sizes = {name: getattr(self, name) for name in ("rows", "days", "assets", "bars", "tradable")}
        findings = [
            {
                "check": one.check,
                "treatment": one.treatment,
                "count": one.count,
                "by_asset": dict(one.by_asset),
                "places": [place._asdict() for place in one.places],
            }
            for one in self.findings
        ]
        return {**sizes, "membership": {year: dict(row) for year, row in self.membership.items()}, "findings": findings}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "Report":
        """Returns the report that `to_json` described.

        Raises:
            ValueError: A part is missing or unknown.
        """
        try:
            findings = [
                QualityFinding(**{**entry, "places": tuple(Place(**place) for place in entry["places"])})
                for entry in content["findings"]
            ]
            return Report(**{**content, "findings": tuple(findings)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"quality report: {error}; prepare the panel again") from None

    def table(self) -> str:
        """Returns the report as lines of text, one per finding, the most dangerous first."""
        title = (
            f"{self.rows:,} rows -> {self.days:,} days x {self.assets:,} assets, {self.bars:,} bars, "
            f"{self.tradable:,} tradable"
        )
        if not self.findings:
            return "\n".join([title, "nothing found", *self._membership_lines()])
        rows = [("check", "treatment", "places", "assets", "first")]
        for finding in self.findings:
            assets = f"{len(finding.by_asset):,}" if finding.by_asset else ""
            first = ", ".join(map(str, finding.places[:3])) + (", ..." if len(finding.places) > 3 else "")
            rows.append((finding.check, finding.treatment, f"{finding.count:,}", assets, first))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            f"{r[0]:<{widths[0]}}  {r[1]:<{widths[1]}}  {r[2]:>{widths[2]}}  {r[3]:>{widths[3]}}  {r[4]}" for r in rows
        ]
        return "\n".join([title, *lines, *self._membership_lines()])

    def listing(self, limit: int) -> list[str]:
        """Returns the places one by one, the most dangerous first, at most `limit` of them and how many are left."""
        lines = [f"{one.check} ({one.treatment}): {place}" for one in self.findings for place in one.places]
        rest = len(lines) - limit
        return lines[:limit] + ([f"... and {rest:,} more, all of them in quality.json"] if rest > 0 else [])

    def _membership_lines(self) -> list[str]:
        parts = [
            f"{year}: {row['without_bars']} of {row['members']}"
            for year, row in self.membership.items()
            if row["without_bars"]
        ]
        return [f"members without a bar, by year: {', '.join(parts)}"] if parts else []


class Findings:
    """Collects what the checks find, and raises where a rule refuses it."""

    def __init__(self, rules: Rules, calendar: DateArray) -> None:
        self.rules, self._calendar = rules, calendar
        self._found: list[QualityFinding] = []

    @property
    def found(self) -> tuple[QualityFinding, ...]:
        """The findings, the most dangerous first."""
        return tuple(sorted(self._found, key=lambda one: DANGER.index(one.check)))

    def note(
        self,
        check: str,
        days: AnyArray,
        assets: AnyArray | None = None,
        details: AnyArray | None = None,
        treatment: str | None = None,
        before: AnyArray | None = None,
        after: AnyArray | None = None,
    ) -> str:
        """Records places, given by day and asset name, and returns the treatment; no places are no finding.

        Args:
            check: Its name.
            days: Of each place.
            assets: Of each place; None where a place is a whole day.
            details: Of each place, in words.
            treatment: What is done; None for what the rule of the check says.
            before: Close before the treatment.
            after: Close after it, NaN where there is none left.

        Raises:
            ValueError: There are places and the treatment is ``refuse``.
        """
        treatment = treatment or str(getattr(self.rules, check))
        if not len(days):
            return treatment
        table = pd.DataFrame({"day": pd.to_datetime(days).to_numpy().astype("datetime64[D]")})
        table["asset"] = "" if assets is None else np.asarray(assets, dtype=object)
        table["detail"] = "" if details is None else np.asarray(details, dtype=object)
        table["before"] = np.nan if before is None else before
        table["after"] = np.nan if after is None else after
        places = self._runs(table)
        if treatment == "refuse":
            raise ValueError(
                f"quality: check '{check}' found {len(days)} places, first {places[0]}, and its rule refuses them; "
                f"correct the data or give '{check}' another rule"
            )
        counts = {} if assets is None else table["asset"].value_counts().to_dict()
        by_asset = {str(asset): int(count) for asset, count in counts.items()}
        self._found.append(QualityFinding(check, treatment, len(days), by_asset, places))
        return treatment

    def note_cells(self, check: str, panel: Panel, places: BoolArray, treatment: str | None = None) -> str:
        """Records the true cells of a mask ``[T, N]``."""
        day, asset = np.nonzero(places)
        return self.note(check, panel.dates[day], np.array(panel.assets, dtype=object)[asset], treatment=treatment)

    def _runs(self, table: pd.DataFrame) -> tuple[Place, ...]:
        """Returns the places in time, days in a row of one asset put together where nothing sets them apart."""
        table["row"] = np.searchsorted(self._calendar, table["day"].to_numpy().astype("datetime64[D]"))
        table = table.sort_values(["asset", "row"], kind="stable")
        alone = (table["detail"] != "") | table["before"].notna()
        same = (table["asset"] == table["asset"].shift()) & (table["row"] - table["row"].shift()).isin([0, 1])
        starts = np.flatnonzero(~(same & ~alone & ~alone.shift(fill_value=True)).to_numpy())
        days = np.datetime_as_string(table["day"].to_numpy().astype("datetime64[D]"))
        stops = np.append(starts[1:], len(table))
        columns = {name: table[name].to_numpy() for name in ("asset", "detail", "before", "after")}
        places = [
            Place(
                str(columns["asset"][k]),
                str(days[k]),
                str(columns["detail"][k]),
                str(days[stop - 1]),
                int(stop - k),
                _number(columns["before"][k]),
                _number(columns["after"][k]),
            )
            for k, stop in zip(starts, stops, strict=True)
        ]
        return tuple(sorted(places, key=lambda place: (place.date, place.asset)))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
