"""The tapes of a trading run, real and shuffled: training, evaluation and comparison all replay these."""

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from configs.schema.trade import Trade
from envs import Tape
from market.fills import Fill, default_fill
from market.panel import Panel
from market.splits import Split
from market.states import MarketStates

Part = Literal["train", "valid", "test"]
SHUFFLED = {"train": 1, "valid": 2, "test": 3}  # seeds of the negative control


class TradeSources(NamedTuple):
    """Bars, states and features that the tapes of a run are cut from.

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


def read_sources(experiment: Trade, until: Part = "valid") -> TradeSources:
    """Returns the sources of a run with no day after the part `until`.

    Training never asks for more than the valid days, so nothing it makes can depend on what comes after.

    Raises:
        ValueError: A file is missing or damaged, or the encoder has learnt from days of test.
    """
    whole = Panel.load(experiment.panel)
    states = None if experiment.states is None else MarketStates.load(experiment.states)
    split = split_of(experiment, states)
    _check_untouched(experiment, states, split)
    panel = whole.between(None, getattr(split, until)[1])
    fill = experiment.fill or (states.provenance["fill"] if states is not None else default_fill(panel))
    if experiment.observe in ("states", "shuffled"):
        return TradeSources(panel, states, None, split, fill)
    if experiment.observe == "none":
        return TradeSources(panel, None, _nothing(panel), split, fill)
    raw = experiment.features.compute(panel)
    features = experiment.scaling.fit(raw, raw.rows(*split.train)).overwrite(raw)
    return TradeSources(panel, None, features, split, fill)


def tape_of(experiment: Trade, sources: TradeSources, part: Part) -> Tape:
    """Returns the tape of one part: of all assets, or of the run's one.

    Raises:
        ValueError: The states have not passed the audit or are of another fill, or the asset is unknown.
    """
    start, stop = getattr(sources.split, part)
    options: dict[str, Any] = {"features": sources.features, "lookback": experiment.lookback}
    rows = sources.panel.rows(start, stop)  # days of a part that the panel does not cover are left out
    dates = sources.panel.dates[rows]
    if not len(dates):
        raise ValueError(f"{experiment.panel}: no day of {part}, {start} to {stop}; choose another split")
    try:
        tape = Tape.from_panel(sources.panel, sources.states, sources.fill, str(dates[0]), str(dates[-1]), **options)
    except ValueError as error:
        raise ValueError(f"{experiment.states or experiment.panel}: {error}") from None
    if experiment.observe == "shuffled":
        tape = shuffle_states(tape, SHUFFLED[part])
    return tape if experiment.asset is None else tape.only(experiment.asset)


def shuffle_states(tape: Tape, seed: int) -> Tape:
    """Returns the tape on which each day shows what another day of it showed; prices stay where they are."""
    order = np.random.default_rng(seed).permutation(len(tape.frames))
    return replace(tape, frames=tape.frames[order], market_frames=tape.market_frames[order])


def _check_untouched(experiment: Trade, states: MarketStates | None, split: Split) -> None:
    """Refuses states that had seen a day of test; every row is judged by the fit that it comes from."""
    if states is None:
        return
    first, last = (np.datetime64(day, "D") for day in split.test)
    seen = np.flatnonzero(states.in_sample & (states.dates >= first) & (states.dates <= last))
    if len(seen):
        raise ValueError(
            f"{experiment.states}: the encoder of {states.dates[seen[0]]} learnt from days until "
            f"{states.fit_end[seen[0]]}, but test starts on {first}; start test later, or train the encoder on earlier "
            "days"
        )


def _nothing(panel: Panel) -> Panel:
    values = np.zeros((*panel.shape[:2], 1), np.float32)
    return replace(panel, fields=("nothing",), values=values)


def split_of(experiment: Trade, states: MarketStates | None) -> Split:
    """Returns the days of a run: its own, or those that its states were made with.

    Raises:
        ValueError: It has none, and its states do not say.
    """
    if experiment.split is not None:
        return experiment.split
    path = experiment.states
    recorded = states.provenance["split"] if states is not None else None
    if not isinstance(recorded, dict):
        raise ValueError(f"{path}: its provenance holds no split; give the run one with --split")
    return Split(**{part: (str(days[0]), str(days[1])) for part, days in recorded.items()})
