"""The tapes of a trading run, real and shuffled: training, evaluation and comparison all replay these."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from configs.paths import TABLE_SUFFIXES
from configs.schema.trade import Trade
from envs import Tape
from envs.observables import Observed
from envs.rules import MarketRules, recorded_rules
from market.arrays import FloatArray
from market.panel import Panel
from market.prices.fills import Fill, carried_forward, default_fill
from market.sources.tables.source import Tables
from market.splits import Split
from market.states import MarketStates
from pipeline.trial_count import Question

Part = Literal["train", "valid", "test"]
SHOWN: dict[str, Observed] = {"states": "states", "forecast": "forecast"}
"""Parts of the states that a run sees where those are not all of them."""
SHUFFLED = {"train": 1, "valid": 2, "test": 3}  # seeds of the negative control


class TradeSources(NamedTuple):
    """Bars, states and features that the tapes of a run are cut from.

    Attributes:
        panel: Bars up to the last day that may be known.
        states: States to see, else None.
        features: Scaled features to see, else None.
        split: Days of each part.
        fill: When decisions are carried out.
        rules: All terms of trading: those of the states, else of the panel, but for what the run says itself.
        departures: Where the run was told something else than they had recorded, in words.
    """

    panel: Panel
    states: MarketStates | None
    features: Panel | None
    split: Split
    fill: Fill
    rules: MarketRules
    departures: tuple[str, ...] = ()


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
    terms = (fill, *_rules(experiment, whole, states, fill))
    if experiment.observe not in ("none", "features"):
        return TradeSources(panel, states, None, split, *terms)
    if experiment.observe == "none":
        return TradeSources(panel, None, _nothing(panel), split, *terms)
    raw = experiment.features.compute(panel)
    features = experiment.scaling.fit(raw, raw.rows(*split.train)).overwrite(raw)
    return TradeSources(panel, None, features, split, *terms)


def question_of(experiment: Trade) -> Question:
    """Returns the days and the market that a run looks at, for the ledger of its panel."""
    states = None if experiment.states is None else MarketStates.load(experiment.states)
    split = split_of(experiment, states)
    return Question.of(experiment.panel, Panel.load(experiment.panel), split, experiment.asset)


def _rules(
    experiment: Trade, panel: Panel, states: MarketStates | None, fill: Fill
) -> tuple[MarketRules, tuple[str, ...]]:
    """The terms of a run, and where they depart from what its states or its panel recorded."""
    recorded = {
        "states": None if states is None else recorded_rules(states.provenance),
        "panel": recorded_rules(panel.source),
    }
    known = {home: found for home, found in recorded.items() if found is not None}
    told = next(iter(known.values()), MarketRules()).override(
        experiment.costs, experiment.price_limit, experiment.delisting_return, fill
    )
    rules = replace(told, periods_per_year=panel.periods_per_year)
    return rules, _departures(rules, known)


def _departures(rules: MarketRules, known: Mapping[str, MarketRules]) -> tuple[str, ...]:
    """Where rules depart from those recorded by states and panel, each field once; states may depart from a panel."""
    said: dict[str, str] = {}
    now = flattened(rules.to_json())
    for home, found in known.items():
        before = flattened(found.to_json())
        for name in rules.departures(found):
            said.setdefault(name, f"{name} {now[name]}, where the {home} had {before[name]}")
    return tuple(said.values())


def flattened(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested JSON objects as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": found for inner, found in flattened(value).items()}
        else:
            flat[name] = value
    return flat


def tape_of(experiment: Trade, sources: TradeSources, part: Part) -> Tape:
    """Returns the tape of one part: of all assets, or of the run's one.

    Raises:
        ValueError: The states have not passed the audit or are of another fill, or the asset is unknown.
    """
    start, stop = getattr(sources.split, part)
    options: dict[str, Any] = {
        "features": sources.features,
        "lookback": experiment.lookback,
        "observe": SHOWN.get(experiment.observe, "states+forecast"),
        "price_limit": sources.rules.price_limit,
        "delisting_return": sources.rules.delisting_return,
    }
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
    if experiment.index is not None:
        tape = tape.with_benchmark("index", index_returns(experiment.index, experiment.index_asset, tape)[1])
    return tape if experiment.asset is None else tape.only(experiment.asset)


def shuffle_states(tape: Tape, seed: int) -> Tape:
    """Returns the tape on which each asset shows what some asset showed on another day; prices stay where they are.

    Days alone are not enough: what an asset showed on average over ten years, later ones included, says what it earned.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tape.frames))
    assets = np.argsort(rng.random((len(order), tape.n_assets)), axis=1)
    shown = {name: getattr(tape, name)[order] for name in ("market_frames", "age_frames")}
    of_assets = {name: getattr(tape, name)[order[:, None], assets] for name in ("frames", "forecast_frames")}
    return replace(tape, **shown, **of_assets)


def index_returns(source: str | Path | Panel, asset: str | None, tape: Tape) -> tuple[str, FloatArray]:
    """Returns the name of a published index and its simple return from each day of `tape` to the next ``[T]``.

    A day that the index lacks has its last close.

    Args:
        source: A panel, its file, or a table of prices (CSV or Parquet).
        asset: Name of the index there; None where there is only one.
        tape: The days.

    Raises:
        ValueError: The panel lacks the index, or does not cover the days.
    """
    path = "the traded panel" if isinstance(source, Panel) else str(source)
    panel = source if isinstance(source, Panel) else read_index(source)
    name = asset or panel.assets[0]
    if asset is None and len(panel.assets) > 1:
        raise ValueError(f"{path}: holds {len(panel.assets)} assets; name the index with --index-asset")
    own = panel.select([name])
    closes = carried_forward(own["close"])[:, 0]
    row = np.searchsorted(own.dates, tape.dates, side="right") - 1
    if row[0] < 0 or not np.isfinite(closes[row]).all() or own.dates[-1] < tape.dates[-1]:
        raise ValueError(
            f"{path}: '{name}' has {own.dates[0]} ... {own.dates[-1]}, the days traded are {tape.dates[0]} ... "
            f"{tape.dates[-1]}; prepare an index that covers them"
        )
    returns = np.zeros(len(tape))
    returns[:-1] = closes[row[1:]] / closes[row[:-1]] - 1
    return name, returns


def read_index(path: str | Path) -> Panel:
    """Returns the panel in a file, or the one that a table of prices makes."""
    return Panel.from_frame(Tables(str(path)).read()) if Path(path).suffix in TABLE_SUFFIXES else Panel.load(path)


def _check_untouched(experiment: Trade, states: MarketStates | None, split: Split) -> None:
    """Refuses states that had seen a day of test; every row is evaluated by the fit that it comes from."""
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
