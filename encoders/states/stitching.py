"""Stitching: the states of several fits become one file, every day from the fit that served it.

Only days that a fit served are kept, so no row of the file was seen by the encoder that made it. The asset and market
states of later fits are carried into the coordinates of the first one (`encoders.states.alignment`); forecasts are in
the label's units already; codes keep the names that their own fit gave them, and the row's fold tells which fit.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from encoders.states.alignment import AffineMap, Alignment, CrossMoments
from market.arrays import AnyArray, BoolArray, DateArray, FeatureArray
from market.states import POOR_FIT, RULES, MarketStates, states_header
from market.storage.array_file import ArraySpec, arrays_in_place

logger = logging.getLogger(__name__)

ALIGNED_DAYS = 504
"""Days at most that a map is fitted on, the last that both fits may know."""
HELD_OUT = 5  # one in so many of them, the last ones, measures the map
BLOCK = 32  # days at a time, which bounds memory
SAME = ("encoder", "fill", "horizon")


@dataclass(frozen=True, eq=False)
class FoldStates:
    """The states of one fit over a panel, and the days that it serves.

    Attributes:
        number: Its place in the walk.
        states: Of all days of the panel, audited, with one `fit_end`.
        first: First day that it serves.
        last: Last day that it serves.
    """

    number: int
    states: MarketStates
    first: np.datetime64
    last: np.datetime64

    @property
    def rows(self) -> slice:
        """Rows of the states that are served."""
        dates = self.states.dates
        return slice(int(np.searchsorted(dates, self.first)), int(np.searchsorted(dates, self.last, side="right")))

    @property
    def fit_end(self) -> np.datetime64:
        """Last day that the encoder learnt from."""
        last: np.datetime64 = self.states.fit_end[0]
        return last


class Coordinates(NamedTuple):
    """The maps of a fold into the coordinates of the first one, and how much of those they explain (R²)."""

    asset: AffineMap
    market: AffineMap
    explained: dict[str, float]


def stitch(
    folds: Sequence[FoldStates], path: str | Path, label_span: int, alignment: Alignment = "orthogonal"
) -> list[dict[str, Any]]:
    """Writes the states of the served days of all folds to `path` and returns what the file says of each fold.

    Args:
        folds: In order; the first one's coordinates are those of all.
        path: The states file; written aside and renamed, so a killed run leaves the one before, or none.
        label_span: Days after ``t`` that a label of ``t`` uses.
        alignment: How the states of later folds are carried over.

    Raises:
        ValueError: A fold serves a day that its encoder learnt from, or too soon after it; days are missing or served
            twice; a fold is not audited, or belongs to another panel, label or encoder.
    """
    refuse_unlike(folds)
    for fold in folds:
        refuse_early_service(fold, label_span)
    refuse_gaps(folds)
    maps = [coordinates(folds[0], fold, alignment) for fold in folds]
    said = [_described(fold, found, alignment) for fold, found in zip(folds, maps, strict=True)]
    _warn_of_poor_fit(folds, maps)
    sizes = [fold.rows.stop - fold.rows.start for fold in folds]
    dates = np.concatenate([fold.states.dates[fold.rows] for fold in folds])
    first = folds[0].states
    header = states_header(
        dates,
        first.assets,
        np.repeat([fold.fit_end for fold in folds], sizes),
        _provenance(folds, said),
        np.repeat(np.array([fold.number for fold in folds], np.int32), sizes),
    )
    with arrays_in_place(path, _specs(first, len(dates)), header) as written:
        start = 0
        for fold, found, size in zip(folds, maps, sizes, strict=True):
            _copy(fold, found, {name: array[start : start + size] for name, array in written.items()})
            start += size
    return said


def _warn_of_poor_fit(folds: Sequence[FoldStates], maps: Sequence[Coordinates]) -> None:
    """Says once which folds have states of their own, however many they are."""
    poor = {fold.number: min(found.explained.values(), default=1.0) for fold, found in zip(folds, maps, strict=True)}
    poor = {number: share for number, share in poor.items() if share < POOR_FIT}
    if poor:
        logger.warning(
            "the states of %d of %d folds (%s) explain less than half of the first fold's, the worst %.0f %%; agents "
            "of train do not see them",
            len(poor),
            len(folds),
            ", ".join(map(str, list(poor)[:8])) + (", ..." if len(poor) > 8 else ""),
            100 * min(poor.values()),
        )


def coordinates(first: FoldStates, fold: FoldStates, alignment: Alignment) -> Coordinates:
    """Returns the maps from the states of `fold` to those of `first`, fitted on days that both may know.

    Those are the last `ALIGNED_DAYS` until the earlier of both `fit_end`. R² is measured on the last fifth of them with
    a map that was fitted on the others; the map itself is then fitted on all.
    """
    if fold is first:
        asset, market = (AffineMap(np.eye(width), np.zeros(width)) for width in _widths(first.states))
        return Coordinates(asset, market, {"asset": 1.0, "market": 1.0})
    stop = int(np.searchsorted(first.states.dates, min(first.fit_end, fold.fit_end), side="right"))
    days = np.arange(max(0, stop - ALIGNED_DAYS), stop)
    seen = first.states.mask[days].any(axis=1) & fold.states.mask[days].any(axis=1)
    days = days[seen]
    border = len(days) - len(days) // HELD_OUT
    maps, explained = [], {}
    for block, (own, reference) in enumerate(zip(_widths(fold.states), _widths(first.states), strict=True)):
        fitted, held = CrossMoments(own, reference), CrossMoments(own, reference)
        for start in range(0, len(days), BLOCK):
            for moments, some in ((fitted, days[:border]), (held, days[border:])):
                moments.add(*_pairs(first.states, fold.states, some[start : start + BLOCK], block))
        trial = fitted.fit(alignment)
        explained["market" if block else "asset"] = (held if held.count else fitted).explained(trial)
        maps.append(fitted.plus(held).fit(alignment))
    return Coordinates(maps[0], maps[1], explained)


def refuse_unlike(folds: Sequence[FoldStates]) -> None:
    """Refuses folds whose states cannot stand in one file.

    Raises:
        ValueError: There is none, one is not audited, or two differ in assets, days, label, encoder or shape.
    """
    if not folds:
        raise ValueError("stitching: there are no folds")
    first = folds[0].states
    for fold in folds:
        states, name = fold.states, f"fold {fold.number}"
        if not states.audited:
            raise ValueError(f"{name}: its states have audit={states.provenance.get('audit')!r}; extract them again")
        if len(np.unique(states.fit_end)) != 1:
            raise ValueError(f"{name}: its states come from several fits; stitch states of single fits")
        common = min(len(states.dates), len(first.dates))
        if states.assets != first.assets or not np.array_equal(states.dates[:common], first.dates[:common]):
            raise ValueError(f"{name}: its states are of another panel than those of fold {folds[0].number}")
        for key in SAME:
            own, other = states.provenance.get(key), first.provenance.get(key)
            if own != other:
                raise ValueError(f"{name}: its {key} is {own!r}, that of fold {folds[0].number} is {other!r}")
        if (states.codes is None) != (first.codes is None):
            raise ValueError(f"{name}: it has {'no ' if states.codes is None else ''}codes, unlike the first fold")


def refuse_early_service(fold: FoldStates, label_span: int) -> None:
    """Refuses a fold that serves a day less than `label_span` days after the last one that it learnt from.

    Raises:
        ValueError: It does; the message names the first day that it may serve.
    """
    dates = fold.states.dates
    fitted = int(np.searchsorted(dates, fold.fit_end, side="right")) - 1
    if fold.rows.start < fitted + label_span:
        earliest = fitted + label_span
        may = f"it may serve from {dates[earliest]} on" if earliest < len(dates) else "it may serve no day yet"
        raise ValueError(
            f"fold {fold.number}: its encoder learnt from days until {fold.fit_end}, but it serves from {fold.first} "
            f"on; {may}"
        )


def refuse_gaps(folds: Sequence[FoldStates]) -> None:
    """Refuses folds that together miss a day, or serve one twice.

    Raises:
        ValueError: They do; names the fold and the day.
    """
    longest = max((fold.states.dates for fold in folds), key=len)
    following: np.datetime64 | None = None
    for fold in folds:
        rows = fold.rows
        if rows.stop <= rows.start or fold.states.dates[rows.stop - 1] != fold.last:
            raise ValueError(f"fold {fold.number}: its states lack days of {fold.first} to {fold.last}; extract them")
        if following is not None and fold.states.dates[rows.start] != following:
            raise ValueError(
                f"fold {fold.number}: it serves from {fold.states.dates[rows.start]} on, but the fold before it ends "
                f"so that {following} is next; every day is served once"
            )
        following = longest[rows.stop] if rows.stop < len(longest) else None


def _widths(states: MarketStates) -> tuple[int, int]:
    return states.asset.shape[2], states.market.shape[1]


def _pairs(first: MarketStates, other: MarketStates, days: AnyArray, block: int) -> tuple[FeatureArray, FeatureArray]:
    """Returns rows of the states of `other` and of `first` that say the same thing."""
    if block:
        return np.asarray(other.market[days]), np.asarray(first.market[days])
    both: BoolArray = np.asarray(first.mask[days]) & np.asarray(other.mask[days])
    return np.asarray(other.asset[days])[both], np.asarray(first.asset[days])[both]


def _specs(first: MarketStates, days: int) -> dict[str, ArraySpec]:
    return {name: ArraySpec((days, *array.shape[1:]), array.dtype) for name, array in first.arrays().items()}


def _copy(fold: FoldStates, found: Coordinates, target: dict[str, AnyArray]) -> None:
    states, rows = fold.states, fold.rows
    for start in range(rows.start, rows.stop, BLOCK):
        own = slice(start, min(start + BLOCK, rows.stop))
        there = slice(own.start - rows.start, own.stop - rows.start)
        for name, array in target.items():
            values = getattr(states, name)[own]
            array[there] = getattr(found, name)(values) if name in ("asset", "market") else values
        target["asset"][there] *= target["mask"][there][:, :, None]  # what is not known stays zero


def _described(fold: FoldStates, found: Coordinates, alignment: Alignment) -> dict[str, Any]:
    provenance = fold.states.provenance
    days: DateArray = fold.states.dates[fold.rows]
    return {
        "fold": fold.number,
        "fit_end": str(fold.fit_end),
        "serves": [str(days[0]), str(days[-1])],
        "split": provenance.get("split"),
        "checkpoint_sha256": provenance.get("checkpoint_sha256"),
        "panel_fingerprint": provenance.get("panel_fingerprint"),
        "alignment": alignment,
        "explained": found.explained,
    }


def _provenance(folds: Sequence[FoldStates], said: list[dict[str, Any]]) -> dict[str, Any]:
    checkpoints = "\n".join(str(one["checkpoint_sha256"]) for one in said)
    last = folds[-1].states.provenance
    return {
        **{key: last[key] for key in SAME},
        "checkpoint_sha256": hashlib.sha256(checkpoints.encode()).hexdigest(),
        "panel_fingerprint": last["panel_fingerprint"],
        "split": None,
        "audit": "passed",
        "folds": said,
        **({RULES: last[RULES]} if RULES in last else {}),
    }
