"""Extraction: a frozen encoder looks at every day of a panel once, and what it says goes to disk as it comes.

Days are computed in batches of fixed places: day ``t`` always stands at place ``t mod batch_size`` of its batch, and
batches at the ends are filled up. So a day's bits do not depend on how many days the panel has, and a file that is
continued equals one that is written at once, as long as the device computes the same numbers twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from encoders.data import FrozenEncoder
from encoders.states.audit import Audit, Continuation, TrainingFacts, audit
from encoders.windows import WindowStore
from market.arrays import AnyArray, BoolArray, IntArray
from market.audit import AuditError as AuditError
from market.audit import AuditResult
from market.panel import Panel
from market.states import MarketStates, read_states, states_header
from market.storage.array_file import ArraySpec, arrays_in_place, release_pages

Batch = tuple[IntArray, BoolArray]
"""Days, and which of them are wanted."""

Watch = Callable[[Iterable[Batch], int], Iterator[Batch]]

AGAIN = 32
"""Known days that are computed again before new ones are added, which must come out the same to the bit."""

UNKNOWN = {"forecast_mean": np.nan, "forecast_std": np.nan, "codes": -1}
"""Values on days without a whole look-back; states are zero there and the mask is false."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """How to extract.

    Attributes:
        batch_size: Days computed together; decides memory, not results.
        tokens: Also keep the encoder's raw tokens, which take many times the space.
        audit: How hard the audit looks.
        training: What it must know of the training.
        provenance: What made the states (`market.states.PROVENANCE`, without ``audit``).
        fit_end: Last day that the encoder learnt from.
    """

    provenance: Mapping[str, Any]
    fit_end: np.datetime64
    training: TrainingFacts
    batch_size: int = 32
    tokens: bool = False
    audit: Audit = field(default_factory=Audit)


def extract(
    frozen: FrozenEncoder,
    panel: Panel,
    path: str | Path,
    how: Extraction,
    known: Mapping[str, AnyArray] | None = None,
    watch: Watch | None = None,
) -> AuditResult:
    """Writes the states of every day of `panel` to `path`, unless the audit finds a fault in them.

    Memory stays bounded by the features of the panel and one batch: rows are written where they belong as they come.

    Args:
        frozen: The pipeline and the encoder.
        panel: Prices.
        path: The states file; an existing one is replaced only at the very end.
        how: What to write and how to audit it.
        known: Rows that were extracted before, by name; they are copied and not computed again.
        watch: Passes the batches on, for a progress bar.

    Raises:
        AuditError: Something moved that must not. There is no file then, or the one before.
        ValueError: The panel does not fit the pipeline.
    """
    first = frozen.pipeline.lookback - 1
    n_known = 0 if known is None else len(known["mask"])
    start = max(first, n_known)
    tail, store = _tail_store(frozen, panel, how, known)
    example = frozen.rows(store, np.array([len(panel) - 1 - tail.start]), how.tokens).arrays()
    specs = {name: ArraySpec((len(panel), *array.shape[1:]), array.dtype) for name, array in example.items()}
    provenance = {**how.provenance, "audit": "passed"}
    header = states_header(panel.dates, panel.assets, np.asarray(how.fit_end), provenance)
    with arrays_in_place(path, specs, header) as written:
        _fill_early_rows(written, known, first)
        batches: Iterable[Batch] = blocks(start, len(panel), how.batch_size, first)
        n_batches = -(-len(panel) // how.batch_size) - start // how.batch_size
        for days, wanted in batches if watch is None else watch(batches, n_batches):
            for name, array in frozen.rows(store, days - tail.start, how.tokens).arrays().items():
                written[name][days[wanted]] = array[wanted]
                release_pages(written[name])
        verdict = _audited(frozen, panel, store, written, how, tail)
        if not verdict.passed:
            raise AuditError(verdict, "no states were written")
    return verdict


def _fill_early_rows(written: Mapping[str, AnyArray], known: Mapping[str, AnyArray] | None, first: int) -> None:
    """Fills the rows that are not computed: those known from before, else those without a whole look-back."""
    for name, array in written.items():
        if known is not None:
            array[: len(known["mask"])] = known[name]
        elif name in UNKNOWN:
            array[:first] = UNKNOWN[name]


@dataclass(frozen=True)
class Tail:
    """The last days of a panel, from which its new days are computed as from the whole of it.

    Attributes:
        start: Row that they begin with, 0 for the whole panel.
        complete: First row with everything behind it that its inputs read.
        new: First row that is new.
    """

    start: int = 0
    complete: int = 0
    new: int = 0


def tail_of(how: Extraction, lookback: int, n_known: int, n_days: int) -> Tail:
    """Returns the days that new days behind `n_known` known ones need, by the memory that an audit has measured.

    The whole panel where that is not known, where a column remembers longer than was measured, or where nothing is new.
    """
    inputs = how.training.inputs or {}
    coverage = inputs.get("coverage", {})
    memory = int(coverage.get("every_row", {}).get("memory_days", 0))
    if not memory or not 0 < n_known < n_days or coverage["exact_cuts_only"] or inputs.get("external"):
        return Tail()
    size, complete = how.batch_size, n_known - AGAIN
    earliest = min(complete, n_known // size * size)  # the batch of the first new day holds known ones, too
    start = (earliest - memory - lookback) // size * size  # days keep their places in a batch
    return Tail(start, complete, n_known) if start > 0 else Tail()


def _tail_store(
    frozen: FrozenEncoder, panel: Panel, how: Extraction, known: Mapping[str, AnyArray] | None
) -> tuple[Tail, WindowStore]:
    """Returns the days that are computed and their store: the last days, if known ones come out of them to the bit."""
    n_known = 0 if known is None else len(known["mask"])
    tail = tail_of(how, frozen.pipeline.lookback, n_known, len(panel))
    store = frozen.store(panel[tail.start :])
    if known is None or not tail.start:
        return tail, store
    for days, _ in blocks(tail.complete, n_known, how.batch_size, tail.complete):
        for name, array in frozen.rows(store, days - tail.start, how.tokens).arrays().items():
            if not np.array_equal(array, known[name][days], equal_nan=array.dtype.kind == "f"):
                return Tail(), frozen.store(panel)
    return tail, store


def _audited(
    frozen: FrozenEncoder,
    panel: Panel,
    store: WindowStore,
    written: Mapping[str, AnyArray],
    how: Extraction,
    tail: Tail,
) -> AuditResult:
    if not tail.start:
        return audit(frozen, panel, written, how.training, how.audit, store=store)
    rows = {name: array[tail.start :] for name, array in written.items()}
    continuation = Continuation(tail.complete - tail.start, tail.new - tail.start)
    return audit(frozen, panel[tail.start :], rows, how.training, how.audit, continuation, store)


def blocks(start: int, stop: int, size: int, first: int) -> Iterator[Batch]:
    """Yields batches that together hold the days from `start` to ``stop - 1``, each day at its place.

    Args:
        start: First day that is wanted.
        stop: Day after the last one.
        size: Places in a batch.
        first: First day that has a whole look-back.

    Yields:
        The days of a batch and which of them are wanted; places without a day of their own repeat the nearest day.
    """
    for number in range(start // size, -(-stop // size)):
        places = np.arange(number * size, (number + 1) * size)
        days = np.clip(places, first, stop - 1)
        yield days, (places == days) & (places >= start)


def known_rows(path: str | Path, panel: Panel, checkpoint: str, tokens: bool) -> dict[str, AnyArray]:
    """Returns the rows of an earlier states file that a longer panel continues.

    Raises:
        ValueError: They came from another checkpoint or of other days or assets, or hold other arrays.
    """
    arrays, header = read_states(path)
    before = MarketStates.load(path, verify=False)
    differing = None
    if header["checkpoint_sha256"] != checkpoint:
        differing = "another checkpoint"
    elif before.assets != panel.assets:
        differing = f"{len(before.assets)} other assets"
    elif len(before.dates) > len(panel) or not np.array_equal(before.dates, panel.dates[: len(before.dates)]):
        differing = f"other days ({before.dates[0]} to {before.dates[-1]})"
    elif bool(before.tokens) != tokens:
        differing = "tokens" if before.tokens else "no tokens"
    if differing:
        raise ValueError(f"{path}: holds states of {differing}; --overwrite computes all days again")
    return arrays
