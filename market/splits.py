"""Chronological splits into train, valid and test days, with a purge so that no label reaches into the next part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count, pairwise
from typing import Literal

import numpy as np

from market.arrays import DateArray
from market.calendar import parse_day

Days = tuple[str, str]
"""First and last day of a part, both included, as ISO dates."""

Every = Literal["year", "quarter", "month"] | int
"""Time between refits; a number counts trading days."""

PARTS = ("train", "valid", "test")
MONTHS = {"year": 12, "quarter": 3, "month": 1}
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
class Fold:
    """One refit of a walk: the rows that it learns from and those that it then serves.

    Attributes:
        number: Its place in the walk, from 0.
        train: Rows to fit on.
        valid: Rows to choose on.
        fit_end: Last row whose price anything learns from; the labels of the last valid rows reach it.
        serves: Rows whose states come from this refit, as far as the calendar goes.
    """

    number: int
    train: slice
    valid: slice
    fit_end: int
    serves: slice

    def split(self, dates: DateArray) -> Split:
        """Returns train, valid and, as test, the days that are served."""
        return Split(*(_range(dates, part.start, part.stop) for part in (self.train, self.valid, self.serves)))


@dataclass(frozen=True)
class WalkForward:
    """A calendar of refits: each is used from its first day on until the next one takes over.

    A refit that serves from row ``s`` on learns from no price after row ``s - span``, with ``span`` the days that a
    label needs: its last valid row is ``s - 2 span``, and train ends `span` days before valid begins.

    Attributes:
        first: First day that is served, YYYY-MM-DD; the first trading day on or after it is meant.
        every: Time between refits: ``year``, ``quarter`` or ``month`` of the calendar, counted from `first`, or a
            number of trading days.
        valid: Trading days to choose on.
        train: Trading days to fit on, moving along (about 252 a year); None keeps the first day, so that train grows.
    """

    first: str
    every: Every = "year"
    valid: int = 120
    train: int | None = None

    def __post_init__(self) -> None:
        if parse_day(self.first) is None:
            raise ValueError(f"walk-forward: first is {self.first!r}, expected a day as YYYY-MM-DD")
        if isinstance(self.every, str) and self.every not in MONTHS:
            raise ValueError(f"walk-forward: every is {self.every!r}, expected {', '.join(MONTHS)} or trading days")
        for name in ("every", "valid", "train"):
            days = getattr(self, name)
            if isinstance(days, int) and days < 1:
                raise ValueError(f"walk-forward: {name} is {days} days, expected at least 1")

    def folds(self, dates: DateArray, label_span: int) -> tuple[Fold, ...]:
        """Returns the refits that serve a day of `dates`; together they serve every day from `first` on, each once.

        Args:
            dates: ``[T]`` trading days.
            label_span: Days after ``t`` that a label of ``t`` uses, `Label.span`, at least 1.

        Raises:
            ValueError: No day is served, or the first refit has too few days to learn from, fewer than `valid` where
                `train` is None; the message names the earliest day that it may serve.
        """
        if label_span < 1:
            raise ValueError(f"walk-forward: label_span is {label_span} days, expected at least 1")
        starts = self._starts(dates)
        if not len(starts):
            raise ValueError(f"walk-forward: first is {self.first}, but the calendar ends on {dates[-1]}")
        least = self.valid if self.train is None else self.train
        lead = least + self.valid + 3 * label_span - 1
        if starts[0] < lead:
            earliest = f"serve from {dates[lead]} on" if lead < len(dates) else "shorten train or valid"
            raise ValueError(
                f"walk-forward: before {dates[starts[0]]} there are {starts[0]} trading days, but train of {least}, "
                f"valid of {self.valid} and the labels between need {lead}; {earliest}"
            )
        return tuple(
            self._fold(number, start, stop, label_span)
            for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(dates)], strict=True))
        )

    def due(self, dates: DateArray) -> tuple[np.datetime64 | None, int | None]:
        """Returns when the next refit takes over: its day, or of a calendar in trading days how many are to come."""
        if isinstance(self.every, int):
            served = len(dates) - int(np.searchsorted(dates, np.datetime64(self.first, "D")))
            return (None, self.every - (served - 1) % self.every) if served else (np.datetime64(self.first, "D"), None)
        return next(day for day in self._calendar() if day > dates[-1]), None

    def _starts(self, dates: DateArray) -> list[int]:
        if isinstance(self.every, int):
            return list(range(int(np.searchsorted(dates, np.datetime64(self.first, "D"))), len(dates), self.every))
        rows: list[int] = []
        for day in self._calendar():
            row = int(np.searchsorted(dates, day))
            if row >= len(dates):
                return list(dict.fromkeys(rows))  # a period without a trading day needs no refit
            rows.append(row)
        raise AssertionError("a calendar has no end")

    def _calendar(self) -> Iterator[np.datetime64]:
        assert isinstance(self.every, str)
        first = np.datetime64(self.first, "D")
        month = first.astype("datetime64[M]")
        for k in count(0, MONTHS[self.every]):
            later = month + k
            last = (later + 1).astype("datetime64[D]") - 1
            yield min(later.astype("datetime64[D]") + (first - month.astype("datetime64[D]")), last)

    def _fold(self, number: int, start: int, stop: int, span: int) -> Fold:
        fit_end = start - span
        valid = slice(fit_end - span - self.valid + 1, fit_end - span + 1)
        end = valid.start - span
        train = slice(0 if self.train is None else end - self.train, end)
        return Fold(number, train, valid, fit_end, slice(start, stop))


def _range(dates: DateArray, start: int, stop: int) -> Days:
    return str(dates[start]), str(dates[stop - 1])


def _day(part: str, text: str) -> date:
    day = parse_day(text)
    if day is None:
        raise ValueError(f"split: {part} has {text!r}, expected a day as text, YYYY-MM-DD")
    return day
