"""From a panel to windows, one way for training, extraction and audit; what is measured is what is deployed."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from encoders.base import Encoder, evaluating
from encoders.windows import WindowStore
from market.arrays import AnyArray, BoolArray, CodeArray, FeatureArray, FloatArray, IntArray
from market.features import FeatureSet
from market.features.health import Health, HealthCheck
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import Scaler, Scaling
from market.splits import PARTS, Split, SplitDays

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Features and their fitted scaler: turns any panel into windows, the same way for ever.

    Row ``t`` of the windows uses rows ``<= t`` of the panel and what the scaler has learnt.

    Attributes:
        features: What is computed from the prices.
        scaler: How it is scaled; already fitted.
        lookback: Days in a window.
    """

    features: FeatureSet
    scaler: Scaler
    lookback: int

    def store(self, panel: Panel, label: FloatArray | None = None) -> WindowStore:
        """Returns the windows of `panel`; `label` ``[T, N]`` goes along for training losses only.

        Raises:
            ValueError: The panel is shorter than the look-back, or its features are not those that were fitted.
        """
        return WindowStore.from_panel(panel, self.inputs(panel), label, self.lookback)

    def inputs(self, panel: Panel) -> Panel:
        """Returns the scaled features of `panel`, what an encoder is fed; float32 and finite.

        Raises:
            ValueError: They are not those that the scaler was fitted on.
        """
        return scaled(self.features.compute(panel), self.scaler, panel)


def _copied(panel: Panel) -> Panel:
    listed, tradable = np.array(panel.listed), np.array(panel.tradable)
    return replace(panel, values=np.array(panel.values), listed=listed, tradable=tradable)


def complaints(health: Sequence[Health], shown: int = 5) -> Iterator[str]:
    """Yields a line for the first few features with something wrong, and how many more there are."""
    told = [one for one in health if one.complaints]
    for one in told[:shown]:
        yield f"{one.name}: {', '.join(one.complaints)}"
    if len(told) > shown:
        yield f"{len(told) - shown} more; features.json of the run has them all"


def scaled(features: Panel, scaler: Scaler, panel: Panel) -> Panel:
    """Returns scaled features in the memory of `features`, unless that is the memory of `panel`, their origin."""
    if np.may_share_memory(features.values, panel.values):
        return scaler.transform(features)
    return scaler.overwrite(features)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Everything that one run learns from and is evaluated on.

    Attributes:
        panel: The prices.
        pipeline: Features, and the scaler fitted on the train days.
        store: Windows with the label as the loss wants it.
        returns: ``[T, N]`` the label as a plain return, what forecasts are evaluated on; NaN where unknown.
        label: What is forecast.
        split: The days that are fitted, chosen and evaluated on, as dates.
        days: The same as rows of the panel.
        health: What is wrong with each feature, as far as it is known.
    """

    panel: Panel
    pipeline: Pipeline
    store: WindowStore
    returns: FloatArray
    label: Label
    split: Split
    days: SplitDays
    health: tuple[Health, ...] = ()

    @property
    def fit_end(self) -> np.datetime64:
        """The last day whose price anything learnt from.

        Validation chooses the checkpoint, and the label of the last valid day reaches `Label.span` days further. The
        purge of the split puts the first test day after it.
        """
        last: np.datetime64 = self.panel.dates[min(self.days.valid.stop - 1 + self.label.span, len(self.panel) - 1)]
        return last

    @cached_property
    def learnable(self) -> "TrainingData":
        """The data of fitting and training: nothing after `fit_end`, and no label that reaches beyond it, in copies.

        A model that remembers every label it is shown, or looks prices up, then knows no more than it may. The test
        days are empty; rows of train and valid are where they were.
        """
        labelled = self.days.valid.stop
        stop = min(labelled + self.label.span, len(self.panel))
        panel, returns = self.panel[:stop], np.array(self.returns[:stop])
        returns[labelled:] = np.nan
        return replace(
            self,
            panel=_copied(panel),
            store=self.store.until(stop, labelled),
            returns=returns,
            days=replace(self.days, test=slice(stop, stop)),
        )

    @property
    def evaluated_parts(self) -> dict[str, slice]:
        """Rows of the parts that an encoder is evaluated on: valid, and test where it is known."""
        rows = {name: getattr(self.days, name) for name in ("valid", "test")}
        return {name: part for name, part in rows.items() if part.start < part.stop}

    @cached_property
    def train_days(self) -> IntArray:
        """Rows of train with a whole look-back behind them and a label for at least one asset."""
        return self.labelled_days(self.days.train)

    def labelled_days(self, part: slice) -> IntArray:
        """Returns the rows of a part that have a whole look-back and a known label."""
        rows = self.window_days(part)
        known = self.store.forward_return[rows].isfinite().any(dim=1).cpu().numpy()
        labelled: IntArray = rows[known]
        return labelled

    def window_days(self, part: slice) -> IntArray:
        """Returns the rows of a part that have a whole look-back behind them, which may reach into earlier parts.

        Raises:
            ValueError: There is none.
        """
        rows = np.arange(max(part.start, self.store.lookback - 1), part.stop)
        if not len(rows):
            raise ValueError(
                f"days {part.start} to {part.stop - 1} of the panel have no look-back of {self.store.lookback} days "
                "behind them; start the part later or shorten the look-back"
            )
        return rows


def prepare(
    panel: Panel,
    features: FeatureSet,
    scaling: Scaling,
    lookback: int,
    label: Label,
    split: Split,
    parts: Sequence[str] = PARTS,
) -> TrainingData:
    """Computes features, fits the scaler on the train days, and puts windows and labels side by side.

    Of the `parts` that are not wanted nothing is known later; a panel that ends before the test days then is no fault.

    Raises:
        ValueError: The panel does not fit the split, the label or the look-back; the message has the numbers.
    """
    if len(panel) < lookback:
        raise ValueError(f"panel has {len(panel)} days, fewer than the look-back of {lookback}; use a longer panel")
    days = split.days(panel.dates, label.span, parts)
    for line in split.shortfalls(panel.dates, parts):
        logger.warning("%s", line)
    computed = features.compute(panel)
    check = HealthCheck(computed)
    pipeline = Pipeline(features, scaling.fit(computed, days.train), lookback)
    store = WindowStore.from_panel(panel, scaled(computed, pipeline.scaler, panel), label.compute(panel), lookback)
    health = check.after(store.feature_array(), pipeline.scaler.clip)
    returns = label.plain.compute(panel)
    data = TrainingData(panel, pipeline, store, returns, label, split, days, health)
    for line in complaints(health):
        logger.warning("features: %s", line)
    for name in parts:
        if not len(data.labelled_days(getattr(days, name))):
            raise ValueError(f"split: no day of {name} has a label and {lookback} days behind it; move or lengthen it")
    return data


class EncodedDays(NamedTuple):
    """Output of a frozen encoder for some days, one entry a day; ``n`` days."""

    asset: FeatureArray  # [n, N, D]
    market: FeatureArray  # [n, M]
    forecast_mean: FeatureArray  # [n, N]
    forecast_std: FeatureArray  # [n, N]
    mask: BoolArray  # [n, N]
    codes: CodeArray | None  # [n, N, K]
    tokens: Mapping[str, FeatureArray]  # [n, ...]

    def arrays(self) -> dict[str, AnyArray]:
        """Returns the arrays by the names that they have in a states file."""
        named: dict[str, AnyArray] = {name: getattr(self, name) for name in self._fields[:5]}
        if self.codes is not None:
            named["codes"] = self.codes
        return named | {f"tokens_{name}": array for name, array in self.tokens.items()}


@dataclass(frozen=True, eq=False)
class FrozenEncoder:
    """A pipeline and a trained encoder that no longer changes; extraction and audit see nothing else.

    Attributes:
        pipeline: From panel to windows.
        encoder: Already on the device that it runs on, in evaluation mode while it is asked.
        std_scale: Factor of all its deviations, which calibrates them (`encoders.training.calibration`).
    """

    pipeline: Pipeline
    encoder: Encoder
    std_scale: float = 1.0

    @property
    def device(self) -> torch.device:
        """Where the encoder runs."""
        places = (*self.encoder.parameters(), *self.encoder.buffers())
        return places[0].device if places else torch.device("cpu")

    def store(self, panel: Panel, label: FloatArray | None = None) -> WindowStore:
        """Returns the windows of `panel` on the encoder's device."""
        return self.pipeline.store(panel, label).to(self.device)

    def rows(self, store: WindowStore, days: IntArray, tokens: bool = False) -> EncodedDays:
        """Returns what the encoder says of `days`, as one batch.

        The label of the store is not read. Tokens are empty unless asked for.
        """
        window = store.gather(torch.from_numpy(np.asarray(days, dtype=np.int64)))
        with torch.inference_mode(), evaluating(self.encoder):
            state, forecast, raw = self.encoder.infer(window.features, window.mask, window.calendar, tokens=tokens)
        return EncodedDays(
            asset=state.asset.float().cpu().numpy(),
            market=state.market.float().cpu().numpy(),
            forecast_mean=forecast.mean.float().cpu().numpy(),
            forecast_std=forecast.std.float().cpu().numpy() * np.float32(self.std_scale),
            mask=window.mask.cpu().numpy(),
            codes=None if state.codes is None else state.codes.to(torch.int32).cpu().numpy(),
            tokens={name: token.float().cpu().numpy() for name, token in raw.items()},
        )
