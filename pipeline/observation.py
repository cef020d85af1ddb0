"""Observations of the agent of a run, and the proof about them: the ``audit.json`` of every trading run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema.trade import Trade
from envs.observables import observables_of
from market.arrays import BoolArray
from market.artifacts import AUDIT, CONFIG
from market.audit import AuditError, Columns, External, Scrutiny, audit_columns, externals_of
from market.panel import Panel, content_fingerprint
from market.states import MarketStates
from market.storage.array_file import read_header, read_json, write_json
from pipeline.control_markets import TradeSources

SEEN = {
    "states": "states of {}",
    "forecast": "the forecast of {}",
    "states+forecast": "states and the forecast of {}",
    "shuffled": "states and the forecast of {}, each asset those of any asset on another day",
}
"""Parts of a states file that an agent sees, in words, by `configs.schema.trade.Trade.observe`; {} is the encoder."""
DIGEST = 64  # characters of a fingerprint; states that were made by hand name no panel


def audit_observation(experiment: Trade, sources: TradeSources, settings: Scrutiny | None = None) -> dict[str, Any]:
    """Returns what is known of what the run's agent sees: ``sees``, ``verdict``, ``checks``, ``coverage`` and more.

    Features are audited as the agent sees them, scaled, on all days of `sources`. States were audited when they were
    extracted; their record is taken over, with the fingerprint of the file.

    Raises:
        AuditError: What is seen knows later days, or cannot be shown not to.
        ValueError: The states' audit did not pass.
    """
    panel = {"panel_content": content_fingerprint(sources.panel), "panel_days": len(sources.panel)}
    if experiment.observe == "none":
        return {"sees": "nothing of the market", "verdict": "passed", "checks": {}, "faults": [], **panel}
    if sources.states is not None and experiment.states is not None:
        return {**_of_states(experiment, sources.states), **panel}
    named = type(experiment.features).__name__
    verdict = audit_columns(*_observed(experiment, sources), settings, _externals(experiment), _levels(experiment))
    if not verdict.passed:
        raise AuditError(verdict, f"no agent may see these {named} features")
    return {"sees": f"scaled {named} features", **verdict.to_json(), **panel}


def write_observation(experiment: Trade, sources: TradeSources, folder: Path) -> dict[str, Any]:
    """Audits what the agents of a run will see and writes ``audit.json`` into its folder, also where it fails.

    What was written before for the same panel is taken as it is, so that an interrupted run continues at once.

    Raises:
        AuditError: What is seen knows later days, or cannot be shown not to.
    """
    path = folder / AUDIT
    if path.exists():
        known: dict[str, Any] = read_json(path)
        if known["verdict"] == "passed" and known.get("panel_content") == content_fingerprint(sources.panel):
            return known
    try:
        found = audit_observation(experiment, sources)
    except AuditError as error:
        write_json(path, {"sees": "features", **error.verdict.to_json()})
        raise
    write_json(path, found)
    return found


def evaluated_observation(experiment: Trade, sources: TradeSources, folder: Path) -> dict[str, Any]:
    """Returns the record of what the agents of a finished run see, up to the end of its test days.

    Raises:
        AuditError: The features know later days.
        ValueError: The panel's history or the states are others than those that the agents learnt from.
    """
    path = folder / AUDIT
    if not path.exists():
        seen = {"states": "states", "features": "features"}.get(experiment.observe, experiment.observe)
        return {"sees": seen, "verdict": "not audited", "why": "the run was trained before runs were audited"}
    before, now = read_json(path), audit_observation(experiment, sources)
    days = before["panel_days"]
    if content_fingerprint(sources.panel[:days]) != before["panel_content"]:
        raise ValueError(
            f"{experiment.panel}: its first {days} days hold other values than when the agents of {folder} learnt; "
            "prepare it as it was, or train again"
        )
    if before.get("states_fingerprint") != now.get("states_fingerprint") and not _have_grown(before, sources.states):
        raise ValueError(
            f"{experiment.states}: the states are others than those that the agents of {folder} learnt from; restore "
            "them, or train again"
        )
    return now


def _have_grown(before: dict[str, Any], states: MarketStates | None) -> bool:
    """Tells whether states only have later days than those which a record is of; older records do not know."""
    if states is None or "states_content" not in before:
        return False
    same: bool = states.fingerprint_of(before["states_days"]) == before["states_content"]
    return same


def refuse_states_of_another_panel(states: MarketStates, path: str, panel: Panel) -> None:
    """Refuses states that were made from a panel with other history than `panel`, which may have grown since.

    States that name no fingerprint were made by hand; nothing is known of their panel.

    Raises:
        ValueError: They were; with the remedy.
    """
    made_from = str(states.provenance["panel_fingerprint"])
    if len(made_from) != DIGEST or made_from == panel.fingerprint:
        return
    record = Path(path).with_name(CONFIG)
    known = read_json(record) if record.exists() else {}
    days = known.get("n_days", len(states.dates))
    if days <= len(panel) and known.get("content_fingerprint") == content_fingerprint(panel[:days]):
        return
    raise ValueError(
        f"{path}: panel_fingerprint is {made_from[:12]}..., but the panel's is {panel.fingerprint[:12]}...: these "
        "states were made from another panel, or from this one before it was prepared again; extract them again"
    )


def _of_states(experiment: Trade, states: MarketStates) -> dict[str, Any]:
    path = Path(str(experiment.states))
    refuse_states_of_another_panel(states, str(path), Panel.load(experiment.panel))
    seen = SEEN[experiment.observe].format(states.provenance["encoder"])
    file = {"states": str(path), "states_fingerprint": read_header(path)["fingerprint"]}
    found: dict[str, Any] = {"sees": seen, **file, **states.identity}
    record = path.with_name(AUDIT)
    if not states.audited or not record.exists():
        why = f"there is no {AUDIT} beside the states" if states.audited else "the states have not passed their audit"
        return {**found, "verdict": "not audited", "why": why, "checks": {}, "faults": []}
    known = read_json(record)
    if known["verdict"] != "passed":
        raise ValueError(f"{record}: the verdict is '{known['verdict']}', expected 'passed'; extract the states again")
    if not states.is_named_by(known):
        raise ValueError(f"{record}: this is the audit of other states than those in {path.name}; extract them again")
    return {**known, **found}


def _observed(experiment: Trade, sources: TradeSources) -> tuple[Any, Panel]:
    """Returns the function that makes of any panel what the agent sees, with the scaler of the train days."""
    raw = experiment.features.compute(sources.panel)
    scaler = experiment.scaling.fit(raw, raw.rows(*sources.split.train))

    def compute(panel: Panel) -> Sequence[Columns]:
        features = scaler.transform(experiment.features.compute(panel))
        observables = observables_of(panel, None, features)
        mask: BoolArray = observables.seen[..., None]
        market = tuple(f"mean of {name}" for name in features.fields)
        return [
            Columns(observables.asset, features.fields),
            Columns(observables.market[:, None].astype(np.float32), market),
            Columns(mask.astype(np.float32), ("seen",)),
        ]

    return compute, sources.panel


def _externals(experiment: Trade) -> tuple[External, ...]:
    own = externals_of(experiment.features)
    return (*own, *(External(f"mean of {one.name}", one.lag) for one in own))


def _levels(experiment: Trade) -> tuple[str, ...]:
    levels = tuple(getattr(experiment.features, "levels", ()))
    return (*levels, *(f"mean of {name}" for name in levels))
