"""Who did better: the one rule by which a paired difference becomes a word."""

from collections.abc import Mapping
from typing import Any

CONFIDENT = 0.95
SIGNIFICANT = 0.05


def outcome(metrics: Mapping[str, Any], agent: str, reference: str) -> str:
    """Returns ``beats``, ``loses`` or ``undecided`` by rule 1 of `evaluation.verdict`."""
    interval = metrics["comparisons"][agent][reference]["sharpe"]["ci"]
    if interval is None:
        return "undecided"
    if interval[1] < 0:
        return "loses"
    return "beats" if interval[0] > 0 and steady(metrics, agent, reference) else "undecided"


def steady(metrics: Mapping[str, Any], agent: str, reference: str) -> bool:
    """Returns whether the interval of the seeds' mean Sharpe ratio lies above the reference; true for one seed."""
    own, theirs = metrics["performance"][agent], metrics["performance"][reference]["sharpe"]
    interval = own["ci"]["sharpe"]
    return own["n_seeds"] == 1 or (interval is not None and theirs is not None and interval[0] > theirs)
