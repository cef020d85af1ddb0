"""The tapes of a trading run: what training, evaluation and comparison replay, made in one place for all of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from configs.schema.trade import Trade
from envs import Tape
from envs.observables import Observed
from market.arrays import FloatArray
from market.fills import Fill, default_fill, marked_prices
from market.panel import Panel
from market.splits import Split
from market.states import MarketStates

Part = Literal["train", "valid", "test"]
SHOWN: dict[str, Observed] = {"states": "states", "forecast": "forecast"}
"""What of the states a run sees where that is not all of them."""

SHUFFLED = {"train": 1, "valid": 2, "test": 3}  # seeds of the negative control


class Sources(NamedTuple):
    """What the tapes of a run are cut from.

    Attributes:
        panel: Bars up to the last day that may be known.
        states: States to see, else None.
        features: Scaled features to see, else None.
        split: Days of each part.
        fill: When decisions are carried out.
    """

    panel: Panel
    states: MarketStates | None
    features: Panel | None
    split: Split
    fill: Fill


def read(experiment: Trade, until: Part = "valid") -> Sources:
    """Returns the sources of a run with no day after the part `until`.

    Training never asks for more than the valid days, so nothing it makes can depend on what comes after.

    Raises:
        ValueError: A file is missing or damaged, or the encoder has learnt from days of test.
    """
    whole = Panel.load(experiment.panel)
    states = None if experiment.states is None else MarketStates.load(experiment.states)
    split = experiment.split or _split_of(states, experiment.states)
    _check_untouched(experiment, states, split)
    panel = whole.between(None, getattr(split, until)[1])
    fill = experiment.fill or (states.provenance["fill"] if states is not None else default_fill(panel))
    if experiment.observe not in ("none", "features"):
        return Sources(panel, states, None, split, fill)
    if experiment.observe == "none":
        return Sources(panel, None, _nothing(panel), split, fill)
    raw = experiment.features.compute(panel)
    features = experiment.scaling.fit(raw, raw.rows(*split.train)).overwrite(raw)
    return Sources(panel, None, features, split, fill)


def tape_of(experiment: Trade, sources: Sources, part: Part) -> Tape:
    """Returns the tape of one part: of all assets, or of the run's one.

    Raises:
        ValueError: The states have not passed the audit or are of another fill, or the asset is unknown.
    """
    start, stop = getattr(sources.split, part)
    options: dict[str, Any] = {"features": sources.features, "lookback": experiment.lookback}
    options |= {"price_limit": experiment.price_limit, "observe": SHOWN.get(experiment.observe, "states+forecast")}
    rows = sources.panel.rows(start, stop)  # days of a part that the panel does not cover are left out
    dates = sources.panel.dates[rows]
    if not len(dates):
        raise ValueError(f"{experiment.panel}: no day of {part}, {start} to {stop}; choose another split")
    try:
        tape = Tape.from_panel(sources.panel, sources.states, sources.fill, str(dates[0]), str(dates[-1]), **options)
    except ValueError as error:
        raise ValueError(f"{experiment.states or experiment.panel}: {error}") from None
    if experiment.observe == "shuffled":
        tape = shuffled(tape, SHUFFLED[part])
    if experiment.index is not None:
        tape = tape.with_benchmark("index", index_returns(experiment.index, experiment.index_asset, tape)[1])
    return tape if experiment.asset is None else tape.only(experiment.asset)


def shuffled(tape: Tape, seed: int) -> Tape:
    """Returns the tape on which each day shows what another day of it showed; prices stay where they are."""
    order = np.random.default_rng(seed).permutation(len(tape.frames))
    shown = ("frames", "market_frames", "forecast_frames", "age_frames")
    return replace(tape, **{name: getattr(tape, name)[order] for name in shown})


def index_returns(path: str | Path, asset: str | None, tape: Tape) -> tuple[str, FloatArray]:
    """Returns the name of a published index and its simple return from each day of `tape` to the next ``[T]``.

    A day that the index lacks has its last close.

    Raises:
        ValueError: The panel lacks the index, or does not cover the days.
    """
    panel = Panel.load(path)
    name = asset or panel.assets[0]
    if asset is None and len(panel.assets) > 1:
        raise ValueError(f"{path}: holds {len(panel.assets)} assets; name the index with --index-asset")
    own = panel.select([name])
    closes = marked_prices(own, "close")[:, 0]
    row = np.searchsorted(own.dates, tape.dates, side="right") - 1
    if row[0] < 0 or not np.isfinite(closes[row]).all() or own.dates[-1] < tape.dates[-1]:
        raise ValueError(
            f"{path}: '{name}' has {own.dates[0]} ... {own.dates[-1]}, the days traded are {tape.dates[0]} ... "
            f"{tape.dates[-1]}; prepare an index that covers them"
        )
    returns = np.zeros(len(tape))
    returns[:-1] = closes[row[1:]] / closes[row[:-1]] - 1
    return name, returns


def _check_untouched(experiment: Trade, states: MarketStates | None, split: Split) -> None:
    if states is not None and states.fit_end >= np.datetime64(split.test[0], "D"):
        raise ValueError(
            f"{experiment.states}: the encoder learnt from days until {states.fit_end}, but test starts on "
            f"{split.test[0]}; start test later, or train the encoder on earlier days"
        )


def _nothing(panel: Panel) -> Panel:
    values = np.zeros((*panel.shape[:2], 1), np.float32)
    return replace(panel, fields=("nothing",), values=values)


def _split_of(states: MarketStates | None, path: str | None) -> Split:
    recorded = states.provenance["split"] if states is not None else None
    if not isinstance(recorded, dict):
        raise ValueError(f"{path}: its provenance holds no split; give the run one with --split")
    return Split(**{part: (str(days[0]), str(days[1])) for part, days in recorded.items()})
