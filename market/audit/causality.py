"""Does a row of what a function makes of a panel depend on any later row? Every row is asked, with every lead.

Two ways lead there. An *exact cut* rewrites everything after a day and compares all rows before: no memory is too long
for it, but it sees a lead of one day on one day alone. *Patterns* (`market.audit.patterns`) ask of every row at once,
as long as what the function remembers is shorter than the stretches between them; that is measured first. What a
pattern suspects is confirmed by an exact cut on that very day, so a memory that is longer than measured is no fault.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from market.arrays import IntArray
from market.audit.columns import Columns, Difference, Recompute, differences, moved_days, spreads
from market.audit.patterns import Pattern, patterns, spells
from market.audit.verdict import Scrutiny
from market.audit.worlds import RARE, eventful, rewritten, rewritten_after, spliced
from market.panel import Panel

FEWEST = 8  # assets of which a part of the market consists
EXACT_SHARE = 0.12  # of the cells that exact cuts may take
MOST_CUTS = 160  # exact cuts, unless more are asked for
CONFIRMATIONS = 3  # suspicions of a column that may prove wrong before its memory counts as long
PROBE = 3  # days that are rewritten to see how long a column remembers them
MARGIN = 2  # days added to what was measured


class Causality:
    """Looks for columns that move when later days do.

    Attributes:
        faults: Lines so far, by column.
        long: Columns whose memory is longer than patterns can tell apart from the future.
    """

    def __init__(
        self,
        compute: Recompute,
        panel: Panel,
        original: Sequence[Columns],
        settings: Scrutiny,
        skipped: frozenset[str],
    ) -> None:
        self.compute, self.panel, self.original, self.settings = compute, panel, original, settings
        self.generator = np.random.default_rng(settings.seed)
        self.spread = spreads(original)
        self.faults: dict[str, str] = {}
        self.skipped = skipped
        self.long: set[str] = set()
        self.memory = 0
        self._wrong: Counter[str] = Counter()

    @property
    def known(self) -> frozenset[str]:
        """Columns of which nothing more is asked."""
        return self.skipped | frozenset(self.faults)

    @property
    def size(self) -> int:
        """Cells of one computation."""
        return sum(one.values.size for one in self.original)

    def after_cuts(self, cuts: IntArray) -> None:
        """Compares all rows up to each cut with those of a panel whose future is another one."""
        other = rewritten(self.panel, self.generator)
        for cut in cuts:
            found = self.compute(rewritten_after(self.panel, int(cut), other))
            told = f"after {self.panel.dates[cut]} became noise"
            for one in self._compared(self.original, found, np.arange(cut + 1), self.known):
                self.faults[one.name] = (
                    f"{one.name} moved by {one.amount()} {told}, on {one.days} of {cut + 1} days, first "
                    f"{one.place(self.panel)}"
                )

    def cuts(self) -> IntArray:
        """Returns the days of the exact cuts, the last first: all of them where that is cheap."""
        last = len(self.panel) - 2
        affordable = int(EXACT_SHARE * self.settings.cells / max(1, self.size))
        count = max(self.settings.cuts, min(affordable, MOST_CUTS))
        if last < 0:
            return np.zeros(0, np.int64)
        if count > last:
            return np.arange(last + 1)[::-1]
        ends = np.flatnonzero(np.diff(self.panel.dates.astype("datetime64[Y]").astype(int)))  # last days of years
        years = min(len(ends), count // 2)
        chosen = np.concatenate([np.linspace(0, last, count - years), ends[len(ends) - years :]]).astype(np.int64)
        return np.unique(chosen)[::-1]

    def measure_memory(self, panel: Panel) -> None:
        """Measures how many rows the columns read, on a panel with few events, and sets aside those that read many.

        What moves long after some rows were rewritten may have moved because of the next ones to be rewritten, which
        is no memory but a fault: so the columns that are set aside are asked again with those left as they were.
        """
        base = eventful(panel, RARE, self.generator)
        apart = min(2 * self.settings.memory, len(panel) // 2)
        if apart < 2 * PROBE:
            self.long |= {name for one in self.original for name in one.names}
            return
        changed, noise = spells(len(panel), PROBE, apart), rewritten(base, self.generator)
        after = self.compute(spliced(base, noise, changed))
        rows = np.arange(len(panel))
        last = np.maximum.accumulate(np.where(changed, rows, -1))
        lag = np.where(last < 0, -1, rows - last)
        furthest: dict[int, set[str]] = {}
        for one, other, scale in zip(self.compute(base), after, spreads(self.original), strict=True):
            odd = moved_days(one, other, rows, scale, self.settings.tolerance)
            lags = np.where(odd, lag[:, None], -1)
            for name, reach, row in zip(one.names, lags.max(axis=0) + 1, lags.argmax(axis=0), strict=True):
                if reach > apart // 2:
                    furthest.setdefault(int(row), set()).add(name)
                elif name not in self.known:
                    self.memory = max(self.memory, int(reach), 1)
        self.memory += MARGIN
        for row, names in sorted(furthest.items())[-CONFIRMATIONS:]:
            found = self.compute(spliced(base, noise, changed & (rows <= row)))
            for fault in self._compared(found, after, np.arange(row + 1), self.known):
                if fault.name in names:
                    self.faults[fault.name] = (
                        f"{fault.name} moved by {fault.amount()} on {fault.place(base)} when later days were rewritten"
                    )
        self.long |= set().union(*furthest.values()) - set(self.faults)

    def every_day(self, parts: Sequence[Panel]) -> int:
        """Compares every row with every lead, each pattern on one of the parts; returns the number of patterns."""
        plan = list(patterns(len(self.panel), self.memory))
        for number, part in enumerate(parts):
            base = eventful(part, RARE, self.generator)
            other = rewritten(base, self.generator)
            before = self.compute(base)
            for pattern in plan[number :: len(parts)]:
                if all(name in self.known | self.long for one in before for name in one.names):
                    return len(plan)
                found = self.compute(spliced(base, other, pattern.changed))
                skipped = self.known | self.long
                suspects = list(self._compared(before, found, pattern.tested, skipped))
                self._confirm(suspects, before, base, other, pattern)
        return len(plan)

    def _confirm(
        self, suspects: Sequence[Difference], before: Sequence[Columns], base: Panel, other: Panel, pattern: Pattern
    ) -> None:
        for row in sorted({one.row for one in suspects}):
            names = {one.name for one in suspects if one.row == row} - set(self.known | self.long)
            if not names:
                continue
            found = self.compute(rewritten_after(base, row, other))
            sure = {
                one.name: one
                for one in self._compared(before, found, np.array([row]), self.known | self.long)
                if one.name in names
            }
            lead = int(pattern.distance[np.flatnonzero(pattern.tested == row)[0]])
            for name, one in sure.items():
                self.faults[name] = (
                    f"{name} moved by {one.amount()} on {one.place(base)} when days from {lead} to "
                    f"{lead + pattern.length - 1} days later were rewritten"
                )
            for name in names - set(sure):
                self._wrong[name] += 1
                if self._wrong[name] >= CONFIRMATIONS:
                    self.long.add(name)

    def _compared(
        self, before: Sequence[Columns], after: Sequence[Columns], rows: IntArray, skipped: frozenset[str] | set[str]
    ) -> Iterator[Difference]:
        return differences(before, after, rows, self.spread, self.settings.tolerance, frozenset(skipped))

    def parts(self) -> list[Panel]:
        """Returns the panel in as many parts of its assets as keep the comparison of every row within its cells."""
        wanted = self.size * sum(1 for _ in patterns(len(self.panel), self.memory)) / max(1.0, self.settings.cells)
        count = max(1, min(int(np.ceil(wanted)), len(self.panel.assets) // FEWEST))
        names = self.panel.assets
        return [self.panel.select(names[k::count]) for k in range(count)] if count > 1 else [self.panel]

    def coverage(self, n_patterns: int, n_parts: int, cuts: IntArray) -> dict[str, Any]:
        """Returns which rows were compared with which of their futures."""
        columns = [name for one in self.original for name in one.names]
        long = sorted(self.long - self.skipped)
        return {
            "days": len(self.panel),
            "first_day": str(self.panel.dates[0]),
            "last_day": str(self.panel.dates[-1]),
            "columns": len(columns) - len(self.skipped),
            "exact_cuts": [str(day) for day in self.panel.dates[np.sort(cuts)]],
            "every_row": {
                "columns": len([name for name in columns if name not in self.long | self.known]),
                "memory_days": self.memory,
                "leads": [1, len(self.panel) - 1],
                "recomputations": n_patterns,
                "assets_per_row": f"{len(self.panel.assets[::n_parts])} of {len(self.panel.assets)}",
            },
            "exact_cuts_only": long,
        }
