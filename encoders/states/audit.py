"""The audit: rewrites the future, the batch, the labels and the other assets, and measures what moved.

An honest encoder's row ``t`` is a function of rows ``<= t`` of its own window. Checks try to prove the opposite, first
of the inputs, every day of them (`market.audit`), then of the encoder on samples of days:

* ``inputs``: scaled features are compared on every row with every later day rewritten, must follow the panel where it
  changes, and must not move when a later split or dividend restates the past;
* ``window``: everything outside the windows of some days becomes NaN; what is said of those days must not move;
* ``future``: everything after ``t`` becomes noise, for several ``t``; rows up to ``t`` must not move;
* ``batch``: the same days come in another order, in batches of another size, beside other days;
* ``labels``: the training path sees noise for labels before the encoder is asked;
* ``scaler``: valid and test rows become noise; what the scaler has fitted must not move;
* ``assets``: an asset that is not listed gets other values, or is listed later; the others must not move.

How equal
---------
Where the same days are computed in batches of the same shape, nothing may move at all: kernels repeat their results to
the bit. Against the rows in the file, and in batches of another shape, kernels round differently: a day counts as moved
when a value differs by more than `Audit.tolerance` of its standard deviation, and one day in fifty (at least one) may,
because a rounding can turn a code that lies at a tie.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from encoders.base import evaluating
from encoders.data import EncodedDays, FrozenEncoder
from encoders.states.comparison import StateComparison, equal_values
from encoders.states.inputs import ProvenInputs, audit_inputs, inputs_fingerprint
from encoders.states.perturbation import noise_after, noise_in, unlisted
from encoders.windows import WindowStore
from market.arrays import AnyArray, AnyFloatArray, IntArray
from market.audit import AuditResult as AuditResult
from market.audit import Scrutiny, externals_of
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import Scaling
from market.storage.scratch import copied, day_blocks

LATER = 64  # days after a day, or after train, that are noise; what comes after them is left out
BEFORE = "audited with the days before"
STRETCH = 512  # days on which other assets are changed


@dataclass(frozen=True)
class Audit:
    """How hard the audit looks.

    Attributes:
        cuts: Days ``t`` after which the future is rewritten.
        days: Days of a batch, and of each sample.
        tolerance: Share of a value's standard deviation that counts as moved where rounding may differ.
        seed: Of the noise and of the samples.
        inputs: How hard it looks at what the encoder is fed, which is computed for every day.
    """

    cuts: int = 1
    days: int = 16
    tolerance: float = 1e-4
    seed: int = 0
    inputs: Scrutiny = field(default_factory=lambda: Scrutiny(cuts=4, cells=6e8))


@dataclass(frozen=True)
class TrainingFacts:
    """Facts of the training that the audit needs.

    Attributes:
        label: The label that was learnt.
        scaling: How the scaler was fitted.
        train: Rows that it was fitted on; None where the panel is not the one trained on, and they cannot be fitted
            again.
        inputs: Record of `audit_inputs` on what the encoder was trained with. Where the inputs of an extraction are
            those, to the bit, they are not audited a second time.
        proven: Inputs that were audited before the training, for the same reason.
    """

    label: Label
    scaling: Scaling
    train: slice | None
    inputs: Mapping[str, Any] | None = None
    proven: ProvenInputs | None = None


@dataclass(frozen=True)
class Continuation:
    """New days behind days whose states were audited before, in a panel of no more days than both take.

    Attributes:
        first: First row with everything behind it that its inputs read.
        new: First row that is new.
    """

    first: int
    new: int


def audit(
    frozen: FrozenEncoder,
    panel: Panel,
    written: Mapping[str, AnyArray],
    training: TrainingFacts,
    settings: Audit,
    continuation: Continuation | None = None,
    store: WindowStore | None = None,
) -> AuditResult:
    """Returns the verdict on states that were extracted from `panel`.

    Args:
        frozen: The pipeline and encoder that made them.
        panel: The panel they were made from.
        written: The states by their names in the file, ``[T, ...]``; what is going to be used is what is judged.
        training: Facts of the training that the audit needs.
        settings: How hard to look.
        continuation: What is new where the rest was audited before. Inputs and states up to the new days must then not
            move when the new days become noise; scaler and assets are left to the audit before.
        store: What the encoder is fed with of `panel`; it is computed where not given.
    """
    auditor = _Auditor(frozen, panel, written, training, settings, continuation, store)
    checks: dict[str, str] = {}
    faults: list[str] = []
    for name in ("inputs", "window", "future", "batch", "labels", "scaler", "assets"):
        found = list(dict.fromkeys(getattr(auditor, name)()))
        skipped = auditor.skipped.get(name)
        checks[name] = f"skipped: {skipped}" if skipped else "failed" if found else "passed"
        faults += [f"{name}: {line}" for line in found]
    external = externals_of(frozen.pipeline.features)
    return AuditResult(tuple(faults), checks, settings, auditor.coverage, external)


class _Auditor:
    def __init__(
        self,
        frozen: FrozenEncoder,
        panel: Panel,
        written: Mapping[str, AnyArray],
        training: TrainingFacts,
        settings: Audit,
        continuation: Continuation | None = None,
        store: WindowStore | None = None,
    ) -> None:
        self.frozen, self.panel = frozen, panel
        self.compared = StateComparison(panel, written, settings.tolerance)
        self.training, self.settings, self.continuation = training, settings, continuation
        self.generator = np.random.default_rng(settings.seed)
        self.store = frozen.store(panel) if store is None else store
        self.lead = frozen.pipeline.lookback - 1
        self.first = self.lead if continuation is None else continuation.first
        self.skipped: dict[str, str] = {}
        self.coverage: dict[str, object] = {}
        self.noise: tuple[int, WindowStore] | None = None

    def inputs(self) -> Iterator[str]:
        if self.continuation is not None:
            yield from self.inputs_before(self.continuation)
            return
        proven = self.training.inputs
        if proven is not None and proven.get("inputs_fingerprint") == inputs_fingerprint(self.store):
            self.coverage = dict(proven["coverage"])
            yield from proven["faults"]
            return
        known = self.training.proven
        if known is not None and known.cover(self.frozen.pipeline.features, self.store):
            self.coverage = {**known.verdict.coverage, "checks": dict(known.verdict.checks)}
            return
        found = audit_inputs(self.frozen.pipeline, self.panel, self.settings.inputs)
        self.coverage = {**found.coverage, "checks": dict(found.checks)}
        yield from found.faults

    def inputs_before(self, continuation: Continuation) -> Iterator[str]:
        """Compares the inputs of the days before the new ones with those of a panel whose new days are noise."""
        rows = slice(continuation.first, continuation.new)
        self.coverage = {"new_days": [str(day) for day in self.panel.dates[[continuation.new, -1]]]}
        found = self.rewritten(continuation.new - 1).features[rows]
        moved = (found != self.store.features[rows]).any(dim=1)  # [T, F]
        if bool(moved.any()):
            day, column = (int(k) for k in torch.argwhere(moved)[0])
            yield f"column {column} moved on {self.panel.dates[rows][day]} when the new days became noise"

    def rewritten(self, cut: int) -> WindowStore:
        """Returns the store of a panel that is noise for some days after a row, and ends then."""
        if self.noise is None or self.noise[0] != cut:
            near = self.panel[: cut + 1 + LATER]  # a day that is gone is as much another one as one that is noise
            self.noise = cut, self.frozen.store(noise_after(near, cut, self.generator))
        return self.noise[1]

    def window(self) -> Iterator[str]:
        days = self.sample(self.first, len(self.panel), max(1, self.settings.days // 4))
        seen = np.zeros(len(self.panel), np.bool_)
        for day in days:
            seen[day - self.lead : day + 1] = True
        outside = torch.from_numpy(~seen).to(self.frozen.device)
        if not bool(outside.any()):
            self.skipped["window"] = "the windows of the days looked at hold the whole panel"
            return
        values, prices = copied(self.store.feature_array()), self.store.prices.clone()
        for rows in day_blocks(values):
            values[rows][~seen[rows]] = np.nan
        features = torch.from_numpy(values).to(self.frozen.device)
        prices[outside] = torch.nan
        listed = self.store.listed & ~outside[:, None]
        mapped = None if self.store.mapped is None else values
        poisoned = replace(self.store, features=features, prices=prices, listed=listed, mapped=mapped)
        told = "after everything outside the windows became NaN"
        yield from self.compared.repeated(
            self.frozen.rows(self.store, days), self.frozen.rows(poisoned, days), days, told
        )

    def future(self) -> Iterator[str]:
        last = len(self.panel) - 2
        if self.continuation is not None:
            yield from self.future_after(self.continuation.new - 1)
            return
        if last < self.first:
            self.skipped["future"] = f"no day with a look-back of {self.first + 1} days has a day after it"
            return
        for cut in np.unique(np.linspace(self.first, last, self.settings.cuts + 1).astype(int))[::-1]:
            yield from self.future_after(int(cut))

    def future_after(self, cut: int) -> Iterator[str]:
        other = self.rewritten(cut)
        told = f"after {self.panel.dates[cut]} became noise"
        tail = np.arange(max(self.first, cut - self.settings.days + 1), cut + 1)
        for days in (tail, self.sample(self.first, cut + 1)):
            moved = self.frozen.rows(other, days)
            yield from self.compared.repeated(self.frozen.rows(self.store, days), moved, days, told)
            yield from self.compared.filed(moved.arrays(), days, f"in the file, {told}")

    def batch(self) -> Iterator[str]:
        days = self.generator.permutation(self.sample(self.first, len(self.panel), 2 * self.settings.days))
        size = max(1, self.settings.days // 3)
        parts = [
            self.frozen.rows(self.store, days[start : start + size]).arrays() for start in range(0, len(days), size)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        yield from self.compared.filed(found, days, "in other batches")

    def labels(self) -> Iterator[str]:
        label = self.training.label.compute(self.panel)
        known = np.flatnonzero(np.isfinite(label).any(axis=1) & (np.arange(len(label)) >= self.first))
        if not len(known):
            self.skipped["labels"] = "no day with a look-back has a label"
            return
        days = known[self.sample(0, len(known))]
        scale = np.nanstd(label) or 1.0
        noise = np.where(np.isfinite(label), self.generator.normal(0, scale, label.shape), np.nan)
        before, after = (self.rows_after_training_path(values, days) for values in (label, noise))
        told = "after the labels became noise"
        yield from self.compared.repeated(before, after, days, told)
        yield from self.compared.filed(after.arrays(), days, f"in the file, {told}")

    def scaler(self) -> Iterator[str]:
        train = self.training.train
        if self.continuation is not None:
            self.skipped["scaler"] = BEFORE
            return
        if train is None:
            self.skipped["scaler"] = "the panel is not the one trained on"
            return
        near = self.panel[: train.stop + LATER]  # what comes after cannot be told from it
        if train.stop < len(near):  # equal to the scaler on noise, it is equal to it on the panel too
            noisy = noise_after(near, train.stop - 1, self.generator)
            if not (lines := list(self.refitted(noisy, train, "when later rows are noise"))):
                return
            yield from lines
        yield from self.refitted(near, train, "fitted again on the train days")

    def refitted(self, panel: Panel, train: slice, told: str) -> Iterator[str]:
        """Yields a line for each part of the scaler that is another one when it is fitted on `panel`."""
        names, fitted = self.fitted(panel, train)
        for name, array in self.frozen.pipeline.scaler.arrays().items():
            wrong = np.flatnonzero(~equal_values(array, fitted[name]))
            if len(wrong):
                k = wrong[0]
                yield (
                    f"{name} of {names[k]} is {array[k]:.6g}, but {fitted[name][k]:.6g} {told} "
                    f"({len(wrong)} of {len(array)} features)"
                )

    def fitted(self, panel: Panel, train: slice) -> tuple[tuple[str, ...], Mapping[str, AnyArray]]:
        """Returns the names of the features of `panel` and what a scaler learns from its train days."""
        features = self.frozen.pipeline.features.compute(panel)
        return features.fields, self.training.scaling.fit(features, train).arrays()

    def assets(self) -> Iterator[str]:
        if self.continuation is not None:
            self.skipped["assets"] = BEFORE
            return
        if len(self.panel.assets) < 2:
            self.skipped["assets"] = "there is only one asset"
            return
        asset = int(self.generator.integers(len(self.panel.assets)))
        name = self.panel.assets[asset]
        stretch = self.panel[: max(STRETCH, 4 * (self.first + 1))]
        absent = unlisted(stretch, asset)
        middle = (self.first + len(stretch) + 1) // 2
        changed = [(noise_in(absent, asset, self.generator), len(stretch), f"after unlisted {name} got other values")]
        if middle < len(stretch):
            told = f"before {stretch.dates[middle]}, when {name} is listed from then on"
            changed.append((unlisted(stretch, asset, until=middle), middle, told))
        samples = [self.sample(self.first, stop) for _, stop, _ in changed]
        for (panel, _, told), days, before in zip(changed, samples, self.rows_of(absent, samples), strict=True):
            [found] = self.rows_of(panel, [days])
            yield from self.compared.repeated(_without(before, asset), _without(found, asset), days, told)
            if found.asset[:, asset].any() or np.isfinite(found.forecast_mean[:, asset]).any():
                yield f"unlisted {name} has a state or a forecast"

    def rows_of(self, panel: Panel, samples: Sequence[IntArray]) -> list[EncodedDays]:
        """Returns what the encoder says of some days of another panel, whose features are let go of at once."""
        store = self.frozen.store(panel)
        return [self.frozen.rows(store, days) for days in samples]

    def sample(self, first: int, stop: int, size: int | None = None) -> IntArray:
        """Returns some of the rows from `first` to `stop - 1` in order."""
        count = min(size or self.settings.days, stop - first)
        return np.sort(self.generator.choice(np.arange(first, stop), count, replace=False))

    def rows_after_training_path(self, label: AnyFloatArray, days: IntArray) -> EncodedDays:
        returns = torch.from_numpy(label.astype(np.float32)).to(self.frozen.device)
        store: WindowStore = replace(self.store, forward_return=returns)
        with torch.no_grad(), evaluating(self.frozen.encoder):
            self.frozen.encoder(store.gather(torch.from_numpy(days)))
        return self.frozen.rows(store, days)


def _without(rows: EncodedDays, asset: int) -> EncodedDays:
    """Returns the rows with nothing said of one asset."""
    kept = np.arange(rows.mask.shape[1]) != asset
    return rows._replace(
        asset=np.where(kept[:, None], rows.asset, 0),
        forecast_mean=np.where(kept, rows.forecast_mean, 0),
        forecast_std=np.where(kept, rows.forecast_std, 0),
        mask=rows.mask & kept,
        codes=None if rows.codes is None else np.where(kept[:, None], rows.codes, 0),
    )
