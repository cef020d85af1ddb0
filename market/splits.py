"""Chronological splits into train, valid and test days, with a purge so that no label reaches into the next part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from market.arrays import DateArray
from market.calendar import parse_day

Days = tuple[str, str]
"""First and last day of a part, both included, as ISO dates."""

PARTS = ("train", "valid", "test")
SHORTFALL = np.timedelta64(31, "D")


@dataclass(frozen=True)
class SplitDays:
    """The rows of a calendar that belong to each part of a split, as slices."""

    train: slice
    valid: slice
    test: slice


@dataclass(frozen=True)
class Split:
    """Train, valid and test days in this order, without overlap.

    Anything fitted uses train and valid only. Look-back windows may reach into the part before: it is the past. What
    must not reach over a border is a label, so `days` asks for a gap of at least a label's span between parts.

    Attributes:
        train: First and last day, both included.
        valid: First and last day, both included.
        test: First and last day, both included.
    """

    train: Days
    valid: Days
    test: Days

    def __post_init__(self) -> None:
        for name in PARTS:
            span = getattr(self, name)
            if not isinstance(span, (tuple, list)) or len(span) != 2:
                raise ValueError(f"split: {name} is {span!r}, expected its first and its last day")
            first, last = (_day(name, text) for text in span)
            if last < first:
                raise ValueError(f"split: {name} ends on {last}, before it starts on {first}; swap them")
        for before, after in pairwise(PARTS):
            end, start = getattr(self, before)[1], getattr(self, after)[0]
            if start <= end:
                raise ValueError(f"split: {after} starts on {start}, but {before} ends on {end}; start it later")

    def days(self, dates: DateArray, label_span: int, parts: Sequence[str] = PARTS) -> SplitDays:
        """Returns the rows of `dates` that belong to each part.

        The label of a part's last day ``t`` uses rows up to ``t + label_span``, all of which lie before the first row
        of the next part. Days of a part that `dates` does not cover are left out.

        Args:
            dates: ``[T]`` trading days.
            label_span: Days after ``t`` that a label of ``t`` uses, `Label.span`.
            parts: Parts that are wanted, the first of `PARTS`; the others are empty.

        Raises:
            ValueError: A wanted part holds no trading day, or starts too soon after the one before; the message names
                the earliest day on which it may start.
        """
        if label_span < 0:
            raise ValueError(f"split: label_span is {label_span} days, expected at least 0")
        nothing = slice(len(dates), len(dates))
        rows = [self._rows(name, dates) if name in parts else nothing for name in PARTS]
        for k in range(1, len(parts)):
            self._check_purge(k, rows[k - 1].stop - 1, rows[k].start, dates, label_span)
        return SplitDays(*rows)

    def shortfalls(self, dates: DateArray, parts: Sequence[str] = PARTS) -> list[str]:
        """Returns a line for each of `parts` that begins or ends over a month outside the trading days `dates` ``[T]``.

        That is allowed, but a split that was written for another panel may be left with a few days to learn from.
        """
        lines = []
        for name in parts:
            first, last = (np.datetime64(day, "D") for day in getattr(self, name))
            covered = dates[self._rows(name, dates)]
            if covered[0] - first > SHORTFALL or last - covered[-1] > SHORTFALL:
                lines.append(
                    f"split: of {name}, {first} to {last}, there are only the {len(covered)} days from {covered[0]} to "
                    f"{covered[-1]}"
                )
        return lines

    def _rows(self, name: str, dates: DateArray) -> slice:
        first, last = getattr(self, name)
        start = int(np.searchsorted(dates, np.datetime64(first, "D")))
        stop = int(np.searchsorted(dates, np.datetime64(last, "D"), side="right"))
        if start == stop:
            covered = f"the calendar runs from {dates[0]} to {dates[-1]}" if len(dates) else "the calendar is empty"
            raise ValueError(f"split: {name} ({first} to {last}) holds no trading day; {covered}")
        return slice(start, stop)

    def _check_purge(self, part: int, end: int, start: int, dates: DateArray, label_span: int) -> None:
        if start > end + label_span:
            return
        before, after = PARTS[part - 1], PARTS[part]
        earliest = end + label_span + 1
        remedy = (
            f"start {after} on {dates[earliest]} or later"
            if earliest < len(dates)
            else f"end {before} on an earlier day"
        )
        raise ValueError(
            f"split: labels of {before} (until {dates[end]}) reach {label_span} days ahead, into {after} "
            f"(from {dates[start]}); {remedy}"
        )


@dataclass(frozen=True)
class WalkForward:
    """Successive splits over one calendar, each a step later than the one before, as a model would be refitted.

    With ``step = test`` (the default) the test parts follow one another without overlap up to the end of the calendar,
    with no day left out after the first of them; the last may be shorter.

    Attributes:
        train: Trading days to fit on (about 252 a year); the first split's, if `expanding`.
        valid: Trading days to choose on.
        test: Trading days to judge on.
        step: Trading days from one split to the next; None means `test`.
        expanding: Keep the first train day, so that train grows, instead of moving it along.
    """

    train: int
    valid: int
    test: int
    step: int | None = None
    expanding: bool = False

    def __post_init__(self) -> None:
        for name in (*PARTS, "step"):
            days = getattr(self, name)
            if days is not None and days < 1:
                raise ValueError(f"walk-forward: {name} is {days} days, expected at least 1")

    def splits(self, dates: DateArray, label_span: int) -> Iterator[Split]:
        """Yields the splits of `dates` in order, with exactly `label_span` days between parts.

        Args:
            dates: ``[T]`` trading days.
            label_span: Days after ``t`` that a label of ``t`` uses, `Label.span`.

        Raises:
            ValueError: The calendar is too short for a single test day.
        """
        lead = self.train + self.valid + 2 * label_span
        if len(dates) <= lead:
            raise ValueError(
                f"walk-forward: {len(dates)} trading days, but train {self.train}, valid {self.valid} and two purges "
                f"of {label_span} days need more than {lead}; shorten train or valid"
            )
        for offset in range(0, len(dates) - lead, self.step or self.test):
            train = 0 if self.expanding else offset
            valid = offset + self.train + label_span
            test = offset + lead
            yield Split(
                train=_range(dates, train, offset + self.train),
                valid=_range(dates, valid, valid + self.valid),
                test=_range(dates, test, min(test + self.test, len(dates))),
            )


def _range(dates: DateArray, start: int, stop: int) -> Days:
    return str(dates[start]), str(dates[stop - 1])


def _day(part: str, text: str) -> date:
    day = parse_day(text)
    if day is None:
        raise ValueError(f"split: {part} has {text!r}, expected a day as text, YYYY-MM-DD")
    return day
