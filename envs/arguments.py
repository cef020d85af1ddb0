"""Arguments of the environments, checked before anything is built: another kind is answered with the right one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.actions.portfolio import Action
from envs.costs import Costs
from envs.specs import from_data
from envs.tape import Tape
from market.arrays import BoolArray, FloatArray

SUM_TOLERANCE = 1e-4  # what single precision leaves over in a sum of some thousand weights

_BUILD = {
    "DataFrame": "Tape.from_panel(Panel.from_frame(frame))",
    "Panel": "Tape.from_panel(panel)",
}


def checked_tape(tape: Tape | Mapping[str, Any]) -> Tape:
    """Returns the tape; an error names how one is built where something else is given."""
    found: Any = from_data(tape, "tape")
    if isinstance(found, Tape):
        return found
    kind = type(found).__name__
    said = f"a {kind}" if kind in _BUILD else f"{_short(found)}, expected a Tape"
    raise ValueError(f"tape is {said}; build one: {_BUILD.get(kind, _BUILD['Panel'])}")


def checked_costs(costs: Costs | Mapping[str, Any]) -> Costs:
    """Returns the costs; an error shows how they are written where something else is given."""
    found = from_data(costs, "costs")
    if isinstance(found, Costs):
        return found
    raise ValueError(f"costs is {_short(found)}, expected terms such as Costs(fee_rate=0.001)")


def checked_action(action: Action | Mapping[str, Any]) -> Action:
    """Returns the action; an error names what one needs where that is missing."""
    found = from_data(action, "action")
    refuse_class("action", found)
    if isinstance(found, Action):
        return found
    raise ValueError(
        f"action is {_short(found)}, expected an action of envs such as LongOnly(), or an object with max_stretch, "
        "space(n_assets) and to_weights(actions, status, day, targets, hold)"
    )


def is_own(part: Any) -> bool:
    """Returns whether an action or a reward is of another module than those of `envs`, so that nothing tests it."""
    return not type(part).__module__.startswith("envs.")


def clear_targets(targets: FloatArray, hold: BoolArray) -> None:
    """Makes `check_targets` see what an action does not write."""
    targets[:], hold[:] = np.nan, False


def check_targets(name: str, targets: FloatArray, hold: BoolArray) -> None:
    """Refuses targets ``[B, 1 + N]`` of an action of one's own that are no weights.

    Raises:
        ValueError: A row holds NaN without `hold`, infinity, or does not sum to 1.
    """
    alone = np.isnan(targets)
    asked = ~hold | (alone.any(axis=1) & ~alone.all(axis=1))
    sums = np.where(hold[:, None] & alone, 0.0, targets).sum(axis=1)
    wrong = np.flatnonzero(asked & ~(np.abs(sums - 1.0) <= SUM_TOLERANCE))
    if len(wrong):
        raise ValueError(
            f"action {name}: its target weights in episode {wrong[0]} sum to {sums[wrong[0]]:.6g}; write targets[b] "
            "that sum to 1, cash first, or set hold[b] where nothing is to be traded"
        )


def refuse_class(argument: str, value: Any) -> None:
    """Refuses a class where an object of it is meant."""
    if isinstance(value, type):
        raise ValueError(f"{argument} is the class {value.__name__}, expected an object: {value.__name__}()")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
